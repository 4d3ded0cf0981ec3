/* SPDX-License-Identifier: Apache-2.0 */
/* Finds what stands behind the front: the next definition of an MPI function, and the MPI that the process uses. */
#ifndef SIGNCCL_PLUGIN_MPI_FRONT_NEXT_H_
#define SIGNCCL_PLUGIN_MPI_FRONT_NEXT_H_

/* The next definition of `name` after the front's own, which may be that of another tool; null if there is none. Any
   thread. */
void* signcclMpiFindNext(const char* name);

/* signcclMpiFindNext() that remembers its answer in `*slot`, which starts as null. */
void* signcclMpiNextOnce(void** slot, const char* name);

/* The file name of the back for the MPI that the process has loaded; null if it has none for which there is one. */
const char* signcclMpiChooseBack(void);

/* Makes the symbols of the loaded MPI visible to libraries that are loaded from now on. A back is not linked with an
   MPI, since the one of the process may have any path, and Python programs load it for one module alone. */
void signcclMpiShowLibrary(void);

#endif /* SIGNCCL_PLUGIN_MPI_FRONT_NEXT_H_ */
