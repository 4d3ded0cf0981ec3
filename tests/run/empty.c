/* SPDX-License-Identifier: Apache-2.0 */
/* A shared library that does nothing. */
int signcclTestNothing(void);
int signcclTestNothing(void) { return 0; }
