/* The kernels, in the section where cuobjdump looks for them: `cuobjdump --list-elf libsignccl_cuda.so`. */
    .section .nv_fatbin, "a", %progbits
    .balign 16
    .globl signccl_cuda_image
    .hidden signccl_cuda_image
signccl_cuda_image:
    .incbin SIGNCCL_CUDA_IMAGE
.Lend:

    .section .rodata, "a", %progbits
    .balign 8
    .globl signccl_cuda_image_bytes
    .hidden signccl_cuda_image_bytes
signccl_cuda_image_bytes:
    .quad .Lend - signccl_cuda_image

    .section .note.GNU-stack, "", %progbits
