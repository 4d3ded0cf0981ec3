/* The kernels, in the section where cuobjdump looks for them: `cuobjdump --list-elf libsignccl_cuda.so`. */
    .section .nv_fatbin, "a", %progbits
    .balign 16
    .globl signccl_cuda_image_begin
    .hidden signccl_cuda_image_begin
signccl_cuda_image_begin:
    .incbin SIGNCCL_CUDA_IMAGE
    .globl signccl_cuda_image_end
    .hidden signccl_cuda_image_end
signccl_cuda_image_end:
    .byte 0

    .section .note.GNU-stack, "", %progbits
