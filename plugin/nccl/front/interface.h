/* SPDX-License-Identifier: Apache-2.0 */
/* What the front of the stand-in and its back, libsignccl_nccl_preload.so, know of each other. */
#ifndef SIGNCCL_PLUGIN_NCCL_FRONT_INTERFACE_H_
#define SIGNCCL_PLUGIN_NCCL_FRONT_INTERFACE_H_

#ifdef __cplusplus
extern "C" {
#endif

/** Grows with every change of this file: front and back are installed together, and must fit. */
#define SIGNCCL_NCCL_INTERFACE 1

typedef struct {
  int interface;                   /**< SIGNCCL_NCCL_INTERFACE of the front */
  void* (*find)(const char* name); /**< the function of that name in the real NCCL, or NULL */
  const char* real_file;           /**< the path of the real NCCL, empty if there is none */
  const char* real_reason;         /**< why that one, or what is missing */
} SigncclNcclFront;

/**
 * What is to be called in place of a function of NCCL.
 *
 * @param front  stays valid for as long as the process lives
 * @return NULL if calls of that name are to be forwarded, or if front and back do not fit
 */
typedef void* (*SigncclNcclBackFunction)(const SigncclNcclFront* front, const char* name);

/** The name under which the back exports that function. */
#define SIGNCCL_NCCL_BACK_FUNCTION "signcclNcclBack"

#ifdef __cplusplus
}
#endif

#endif /* SIGNCCL_PLUGIN_NCCL_FRONT_INTERFACE_H_ */
