// Distributed Lion over MPI. Every process has gradients of its own, and one bit per parameter and step travels.
//
//   mpirun -n 2 lion_mpi 100 run     trains to step 100 and saves run.0 and run.1, a file for each process
//   mpirun -n 2 lion_mpi 200 run     goes on from there, with the bits of a job that has never stopped
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mpi.h>
#include <random>
#include <string>
#include <vector>

#include <signccl/lion.h>

namespace {

constexpr std::size_t kSize = 1000;

/// What a job needs to go on. Parameters are the same on all ranks; momenta are not, so each rank saves its own.
struct State {
  std::uint64_t step;
  std::uint64_t call;  ///< number of the communicator's next call, on which random ties depend
  float parameters[kSize];
  float momenta[kSize];
};

[[noreturn]] void fail(const std::string& text) {
  std::fprintf(stderr, "%s\n", text.c_str());
  MPI_Abort(MPI_COMM_WORLD, 1);
  std::abort();
}

void check(signcclResult_t result) {
  if (result != signcclSuccess)
    fail(signcclGetErrorString(result) + (": " + std::string(signcclGetLastError(nullptr))));
}

int gatherByMpi(const void* sendbuff, void* recvbuff, std::size_t bytes, void* /*context*/) {
  const int count = static_cast<int>(bytes);
  return MPI_Allgather(sendbuff, count, MPI_BYTE, recvbuff, count, MPI_BYTE, MPI_COMM_WORLD) == MPI_SUCCESS ? 0 : 1;
}

/// Replicas that begin with the same bits stay the same. For a large model, gather a checksum instead.
void requireEqualReplicas(const State& state, int nranks, signcclComm_t comm) {
  const std::size_t bytes = offsetof(State, momenta);
  std::vector<char> all(bytes * static_cast<std::size_t>(nranks));
  check(signcclCommAllGather(&state, all.data(), bytes, comm));
  for (std::size_t at = 0; at < all.size(); at += bytes) {
    if (std::memcmp(&all[at], &state, bytes) != 0) fail("rank " + std::to_string(at / bytes) + " starts elsewhere");
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

void train(State& state, std::uint64_t last_step, int rank, signcclComm_t comm) {
  void* parameters[] = {state.parameters};
  void* momenta[] = {state.momenta};
  signcclLionConfig_t config = SIGNCCL_LION_CONFIG_INITIALIZER;
  config.tensorCount = 1;
  config.parameters = parameters;
  config.momenta = momenta;
  config.counts = &kSize;
  signcclLion_t lion = nullptr;
  check(signcclLionCreate(&lion, &config, comm));

  const double rate = 0.01, beta1 = 0.9, beta2 = 0.99, decay = 0;
  signcclLionStepConfig_t step = SIGNCCL_LION_STEP_INITIALIZER;
  step.learningRates = &rate;
  step.beta1s = &beta1;
  step.beta2s = &beta2;
  step.weightDecays = &decay;
  std::vector<float> gradient(kSize);
  for (; state.step < last_step; ++state.step) {
    const float loss = computeGradients(state, rank, gradient.data());
    const void* gradients[] = {gradient.data()};
    check(signcclLionStep(lion, &step, gradients, nullptr));
    if (state.step % 50 != 0) continue;
    // Is the loss low on most ranks? The calls of a group are one exchange.
    float low[] = {0.6F - loss, 0.5F - loss};
    check(signcclGroupStart());
    for (float& x : low) check(signcclAllReduceVote(&x, &x, 1, signcclFloat32, signcclFloat32, nullptr, comm, nullptr));
    check(signcclGroupEnd());
    if (rank == 0) std::printf("step %d: %+.0f %+.0f\n", static_cast<int>(state.step), low[0], low[1]);
  }
  check(signcclLionDestroy(lion));
  check(signcclCommGetCallNumber(comm, &state.call));
}

}  // namespace

int main(int argc, char** argv) {
  int rank = 0, nranks = 0;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &nranks);
  if (argc != 3) fail("usage: lion_mpi <last step> <prefix of the files to go on from and to save to>");

  State state{};
  const std::string path = argv[2] + ("." + std::to_string(rank));
  if (std::FILE* const file = std::fopen(path.c_str(), "rb")) {
    if (std::fread(&state, sizeof state, 1, file) != 1) fail(path + " is not a whole checkpoint");
    std::fclose(file);
  }
  signcclConfig_t config = SIGNCCL_CONFIG_INITIALIZER;
  config.allGather = gatherByMpi;  // the unique id is not needed then
  signcclComm_t comm = nullptr;
  check(signcclCommInitRankConfig(&comm, nranks, signcclUniqueId{}, rank, &config));
  requireEqualReplicas(state, nranks, comm);
  check(signcclCommSetCallNumber(comm, state.call));
  train(state, std::strtoull(argv[1], nullptr, 10), rank, comm);

  std::FILE* const file = std::fopen(path.c_str(), "wb");
  if (file == nullptr || std::fwrite(&state, sizeof state, 1, file) != 1 || std::fclose(file) != 0) {
    fail("cannot write " + path);
  }
  check(signcclCommDestroy(comm));
  MPI_Finalize();
  return 0;
}
