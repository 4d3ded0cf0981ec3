// SPDX-License-Identifier: Apache-2.0
// The sockets of the control plane belong to this process alone. A child that kept one open would keep its connection
// open: the end of this process, which the connection's end tells the other ranks, would stay unnoticed.
#ifndef SIGNCCL_CONTROL_OWN_SOCKETS_H_
#define SIGNCCL_CONTROL_OWN_SOCKETS_H_

namespace signccl {

/// Has every child close this socket: at exec(), and at fork() even without it, as in workers that load data. The child
/// closes nothing that has taken the number of a socket that was closed before. If memory runs out, only exec()
/// closes it. Any thread.
void hideFromChildren(int socket) noexcept;

}  // namespace signccl

#endif  // SIGNCCL_CONTROL_OWN_SOCKETS_H_
