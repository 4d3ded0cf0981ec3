/* SPDX-License-Identifier: Apache-2.0 */
/* What check_library.sh must reject: a library that shows more than the C API. */
int signcclAllReduceVote(void);
int leakedHelper(void);

int leakedHelper(void) { return 1; }
int signcclAllReduceVote(void) { return leakedHelper(); }
