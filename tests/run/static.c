/* SPDX-License-Identifier: Apache-2.0 */
/* A program that is linked statically. */
int main(void) { return 7; }
