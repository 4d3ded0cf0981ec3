// SPDX-License-Identifier: Apache-2.0
// Distributed Lion over MPI. Every process has gradients of its own, and one bit per parameter and step travels.
//
//   mpirun -n 2 lion_mpi 100 run     trains to step 100 and saves run.0 and run.1, a file for each process
//   mpirun -n 2 lion_mpi 200 run     goes on from there, with the bits of a job that has never stopped
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <mpi.h>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <signccl/signccl.hpp>

namespace {

constexpr std::size_t kSize = 1000;

/// What a job needs to go on. Parameters are the same on all ranks; momenta are not, so each rank saves its own.
struct State {
  std::uint64_t step;
  std::uint64_t call;  ///< number of the communicator's next call, on which random ties depend
  float parameters[kSize];
  float momenta[kSize];
};

int gatherByMpi(const void* sendbuff, void* recvbuff, std::size_t bytes, void* /*context*/) {
  const int count = static_cast<int>(bytes);
  return MPI_Allgather(sendbuff, count, MPI_BYTE, recvbuff, count, MPI_BYTE, MPI_COMM_WORLD) == MPI_SUCCESS ? 0 : 1;
}

/// Replicas that begin with the same bits stay the same. For a large model, gather a checksum instead.
void requireEqualReplicas(const State& state, const signccl::Communicator& comm) {
  const std::size_t bytes = offsetof(State, momenta);
  std::vector<char> all(bytes * static_cast<std::size_t>(comm.nranks()));
  signccl::check(signcclCommAllGather(&state, all.data(), bytes, comm.handle()));
  for (std::size_t at = 0; at < all.size(); at += bytes) {
    if (std::memcmp(&all[at], &state, bytes) == 0) continue;
    throw std::runtime_error("rank " + std::to_string(at / bytes) + " starts from other parameters");
  }
}

/// Stands for a backward pass: gradients of a quadratic function with noise of this rank and step. Returns the loss.
float computeGradients(const State& state, int rank, float* gradients) {
  std::minstd_rand random(static_cast<unsigned>(state.step * 1000 + static_cast<unsigned>(rank) + 1));
  std::uniform_real_distribution<float> noise(-1, 1);
  float loss = 0;
  for (std::size_t i = 0; i < kSize; ++i) {
    gradients[i] = state.parameters[i] - std::sin(static_cast<float>(i)) + noise(random);
    loss += gradients[i] * gradients[i] / kSize;
  }
  return loss;
}

void train(State& state, std::uint64_t last_step, const signccl::Communicator& comm) {
  void* parameters[] = {state.parameters};
  void* momenta[] = {state.momenta};
  signcclLionConfig_t config = SIGNCCL_LION_CONFIG_INITIALIZER;
  config.tensorCount = 1;
  config.parameters = parameters;
  config.momenta = momenta;
  config.counts = &kSize;
  const signccl::Lion lion(config, comm);

  const double rate = 0.01;
  const double beta1 = 0.9;
  const double beta2 = 0.99;
  const double decay = 0;
  signcclLionStepConfig_t step = SIGNCCL_LION_STEP_INITIALIZER;
  step.learningRates = &rate;
  step.beta1s = &beta1;
  step.beta2s = &beta2;
  step.weightDecays = &decay;
  std::vector<float> gradient(kSize);
  for (; state.step < last_step; ++state.step) {
    const float loss = computeGradients(state, comm.rank(), gradient.data());
    const void* gradients[] = {gradient.data()};
    lion.step(step, gradients);
    if (state.step % 50 != 0) continue;
    // Is the loss low on most ranks? The calls of a group are one exchange.
    float low[] = {0.6F - loss, 0.5F - loss};
    signccl::Group group;
    for (float& value : low) comm.vote(&value, &value, 1);
    group.end();
    if (comm.rank() != 0) continue;
    std::cout << "step " << state.step << ": " << std::showpos << low[0] << ' ' << low[1] << std::noshowpos << '\n';
  }
  signccl::check(signcclCommGetCallNumber(comm.handle(), &state.call));
}

void run(std::uint64_t last_step, const std::string& prefix) {
  int rank = 0;
  int nranks = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &nranks);
  const std::string path = prefix + "." + std::to_string(rank);
  State state{};
  std::ifstream saved(path, std::ios::binary);
  if (saved && !saved.read(reinterpret_cast<char*>(&state), sizeof state)) {
    throw std::runtime_error(path + " is not a whole checkpoint");
  }

  signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
  config.allGather = gatherByMpi;  // the unique id is not read then
  const signccl::Communicator comm(nranks, signcclUniqueId{}, rank, &config);
  requireEqualReplicas(state, comm);
  signccl::check(signcclCommSetCallNumber(comm.handle(), state.call));
  train(state, last_step, comm);
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&state), sizeof state).flush();
  if (!file) throw std::runtime_error("cannot write " + path);
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  try {
    if (argc != 3) throw std::runtime_error("usage: lion_mpi <last step> <prefix of files to go on from and save to>");
    run(std::strtoull(argv[1], nullptr, 10), argv[2]);
  } catch (const std::exception& error) {           // of the library, with ranks and values in its text
    std::cerr << std::string(error.what()) + "\n";  // in one piece: other ranks write, too
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  MPI_Finalize();
  return 0;
}
