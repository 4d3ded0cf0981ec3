/* The version of SignCCL, as the build wrote it. */
#ifndef SIGNCCL_VERSION_H_
#define SIGNCCL_VERSION_H_

#define SIGNCCL_MAJOR 0
#define SIGNCCL_MINOR 1
#define SIGNCCL_PATCH 0

/** major * 10000 + minor * 100 + patch, the number that signcclGetVersion() gives. */
#define SIGNCCL_VERSION_CODE (SIGNCCL_MAJOR * 10000 + SIGNCCL_MINOR * 100 + SIGNCCL_PATCH)

#define SIGNCCL_VERSION_STRING "0.1.0"

#endif /* SIGNCCL_VERSION_H_ */
