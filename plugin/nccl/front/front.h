/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the stand-in's front, which is C without any library but libc: every process of a job loads it, each
 * shell and each helper program too.
 */
#ifndef SIGNCCL_PLUGIN_NCCL_FRONT_FRONT_H_
#define SIGNCCL_PLUGIN_NCCL_FRONT_FRONT_H_

#include <stddef.h>
#include <stdint.h>

#include <sys/stat.h>

/** ncclSystemError of nccl.h. */
#define SIGNCCL_NCCL_SYSTEM_ERROR 2

/** What was found, and why this one. */
typedef struct {
  void* handle;     /**< of dlopen(), NULL if there is none */
  char file[4096];  /**< its path */
  char reason[256]; /**< why this one, or what is missing */
} RealLibrary;

/**
 * The real libnccl.so.2, searched at the first call. Any thread; no lock is held while the loader is called, since a
 * constructor of another library may hold that of the loader and call NCCL. Never NULL.
 */
const RealLibrary* signcclNcclRealLibrary(void);

/** The function of this name in the real library, or NULL. */
void* signcclNcclFind(const char* name);

/** Whether SIGNCCL_RULES and SIGNCCL_INTERPOSE ask for anything but forwarding. */
int signcclNcclIsActive(void);

/**
 * What the back has in place of this function of NCCL, or NULL where the call is to be forwarded. Loads the back, so
 * only to be called if signcclNcclIsActive().
 */
void* signcclNcclWrapper(const char* name);

/** Writes "signccl: ..." and a line end to stderr, in one piece. */
void signcclNcclSay(const char* format, ...) __attribute__((format(printf, 1, 2)));

#endif /* SIGNCCL_PLUGIN_NCCL_FRONT_FRONT_H_ */
