// SPDX-License-Identifier: Apache-2.0
#include "mpi/back/mirrors.h"

#include <memory>

namespace signccl::mpi {

// A duplicate of a communicator has other ranks' messages of its own, so it gets no copy of the attribute.
Mirrors::Mirrors() { PMPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, onDelete, &key_, this); }

Mirror& Mirrors::of(MPI_Comm comm) {
  void* value = nullptr;
  int is_found = 0;
  PMPI_Comm_get_attr(comm, key_, static_cast<void*>(&value), &is_found);
  if (is_found != 0) return *static_cast<Mirror*>(value);
  auto mirror = std::make_unique<Mirror>(comm);
  {
    const std::lock_guard lock(mutex_);
    mirrors_.push_back(mirror.get());
  }
  PMPI_Comm_set_attr(comm, key_, mirror.get());
  return *mirror.release();
}

void Mirrors::endAll() {
  for (;;) {
    MPI_Comm comm = MPI_COMM_NULL;
    {
      const std::lock_guard lock(mutex_);
      if (mirrors_.empty()) return;
      comm = mirrors_.front()->comm();
    }
    PMPI_Comm_delete_attr(comm, key_);
  }
}

int Mirrors::onDelete(MPI_Comm /*comm*/, int /*key*/, void* value, void* extra) {
  static_cast<Mirrors*>(extra)->end(static_cast<Mirror*>(value));
  return MPI_SUCCESS;
}

void Mirrors::end(const Mirror* mirror) {
  // Destroyed after the lock, since it may wait for other ranks.
  const std::unique_ptr<const Mirror> owned(mirror);
  const std::lock_guard lock(mutex_);
  std::erase(mirrors_, mirror);
}

}  // namespace signccl::mpi
