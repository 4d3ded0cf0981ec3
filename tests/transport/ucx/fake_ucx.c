/* SPDX-License-Identifier: Apache-2.0 */
/* A libucp.so.0 that SignCCL must refuse: of FAKE_MINOR, and without the functions that do anything. */
/* NOLINTBEGIN(readability-identifier-naming): names of UCX */
void ucp_get_version(unsigned* major, unsigned* minor, unsigned* release);
const char* ucp_get_version_string(void);

void ucp_get_version(unsigned* major, unsigned* minor, unsigned* release) {
  *major = 1;
  *minor = FAKE_MINOR;
  *release = 0;
}

const char* ucp_get_version_string(void) { return FAKE_VERSION; }
/* NOLINTEND(readability-identifier-naming) */
