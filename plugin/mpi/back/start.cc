// SPDX-License-Identifier: Apache-2.0
// The back's side of the border: starts after MPI_Init(), ends with MPI_Finalize(), and turns the front's calls into
// those of the interposer.
#include <exception>
#include <memory>
#include <mpi.h>
#include <optional>
#include <utility>

#include "mpi/back/end_job.h"
#include "mpi/back/handles.h"
#include "mpi/back/interposer.h"
#include "mpi/border.h"
#include "rules/errors.h"

#ifdef OPEN_MPI
// Addresses that stand for constants in Fortran. Absent where nothing of the process needs Fortran. The names are those
// of Open MPI. NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier)
extern "C" {
[[gnu::weak]] extern int mpi_fortran_in_place;
[[gnu::weak]] extern int mpi_fortran_in_place_;
[[gnu::weak]] extern int mpi_fortran_in_place__;
[[gnu::weak]] extern int MPI_FORTRAN_IN_PLACE;
}
// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)
#endif

namespace signccl::mpi {
namespace {

// Lives until the process ends: a thread may call while another finalizes.
Interposer* interposer = nullptr;

std::optional<int> carryOut(const AllReduce& call) noexcept {
  try {
    return interposer->allReduce(call);
  } catch (const std::exception& error) {
    endJob(std::string("MPI_Allreduce: ") + error.what());
  }
}

int allReduce(const SigncclMpiAllReduce* call, int* result) {
  const std::optional<int> done = carryOut({call->send, call->recv, call->count, handleOf<MPI_Datatype>(call->type),
                                            handleOf<MPI_Op>(call->op), handleOf<MPI_Comm>(call->comm)});
  if (done) *result = *done;
  return done ? 1 : 0;
}

#ifdef OPEN_MPI
bool isInPlace(const void* address) {
  return address != nullptr && (address == &mpi_fortran_in_place || address == &mpi_fortran_in_place_ ||
                                address == &mpi_fortran_in_place__ || address == &MPI_FORTRAN_IN_PLACE);
}

int fortranAllReduce(const SigncclMpiFortranAllReduce* call) {
  const void* send = isInPlace(call->send) ? MPI_IN_PLACE : call->send;
  const std::optional<int> done = carryOut(
      {send, call->recv, *call->count, PMPI_Type_f2c(*call->type), PMPI_Op_f2c(*call->op), PMPI_Comm_f2c(*call->comm)});
  if (done && call->ierror != nullptr) *call->ierror = *done;
  return done ? 1 : 0;
}

constexpr SigncclMpiBack kBack = {allReduce, fortranAllReduce};
#else
constexpr SigncclMpiBack kBack = {allReduce, nullptr};
#endif

int onFinalize(MPI_Comm /*self*/, int /*key*/, void* /*value*/, void* /*extra*/) {
  interposer->finish();
  return MPI_SUCCESS;
}

// MPI_Finalize() begins by deleting the attributes of MPI_COMM_SELF, while everything still works.
void finishBeforeFinalize() {
  int key = MPI_KEYVAL_INVALID;
  PMPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, onFinalize, &key, nullptr);
  PMPI_Comm_set_attr(MPI_COMM_SELF, key, nullptr);
}

const SigncclMpiBack* start(SigncclMpiNext next) {
  static const rules::Log log(rules::environmentVariable);
  rules::Settings settings = rules::Settings::load();
  interposer = new Interposer(std::move(settings), log, NextCalls(next));
  interposer->compareRules();
  finishBeforeFinalize();
  return &kBack;
}

}  // namespace
}  // namespace signccl::mpi

extern "C" {

[[gnu::visibility("default")]] const SigncclMpiBack* signcclMpiStart(SigncclMpiNext next) {
  try {
    return signccl::mpi::start(next);
  } catch (const std::exception& error) {
    signccl::mpi::endJob(error.what());
  }
}

}  // extern "C"
