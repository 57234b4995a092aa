// Loads the echo server: connections of their own, each with so many calls in flight, a completion
// queue and a thread per core. Prints one JSON object.
//
// Usage: echo_client PORT CERTIFICATE CONNECTIONS IN_FLIGHT SECONDS THREADS
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "echo.grpc.pb.h"

namespace {

using Clock = std::chrono::steady_clock;
using needletail::benchmarks::v1::Echo;
using needletail::benchmarks::v1::EchoRequest;
using needletail::benchmarks::v1::EchoResponse;

constexpr char kPayload[] = "0123456789abcdef";

std::string Read(const char* path) {
  std::ifstream file(path);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

struct Tally {
  int64_t errors = 0;
  std::vector<int32_t> latencies_us;
};

// One call in flight; sent again as soon as it was answered, until the end.
class Slot {
 public:
  Slot(Echo::Stub* stub, grpc::CompletionQueue* queue, Clock::time_point end)
      : stub_(stub), queue_(queue), end_(end) {
    request_.set_payload(kPayload);
    Send();
  }

  // Returns whether another call was sent.
  bool Advance(Tally* tally) {
    const auto now = Clock::now();
    if (!status_.ok() || response_.payload() != kPayload) {
      ++tally->errors;
    } else if (now <= end_) {
      tally->latencies_us.push_back(static_cast<int32_t>(
          std::chrono::duration_cast<std::chrono::microseconds>(now - sent_).count()));
    }
    if (now > end_ || !status_.ok()) return false;
    Send();
    return true;
  }

 private:
  void Send() {
    context_ = std::make_unique<grpc::ClientContext>();
    sent_ = Clock::now();
    reader_ = stub_->AsyncEcho(context_.get(), request_, queue_);
    reader_->Finish(&response_, &status_, this);
  }

  Echo::Stub* stub_;
  grpc::CompletionQueue* queue_;
  Clock::time_point end_;
  Clock::time_point sent_;
  EchoRequest request_;
  EchoResponse response_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<EchoResponse>> reader_;
};

void Drive(const std::vector<Echo::Stub*>& stubs, int in_flight, Clock::time_point end,
           Tally* tally) {
  grpc::CompletionQueue queue;
  std::vector<std::unique_ptr<Slot>> slots;
  for (Echo::Stub* stub : stubs) {
    for (int i = 0; i < in_flight; ++i) {
      slots.push_back(std::make_unique<Slot>(stub, &queue, end));
    }
  }
  size_t open = slots.size();
  void* tag = nullptr;
  bool ok = false;
  while (open > 0 && queue.Next(&tag, &ok)) {
    if (!static_cast<Slot*>(tag)->Advance(tally)) --open;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr,
                 "usage: echo_client PORT CERTIFICATE CONNECTIONS IN_FLIGHT SECONDS THREADS\n");
    return 2;
  }
  const int connections = std::atoi(argv[3]), threads = std::atoi(argv[6]);
  const double seconds = std::atof(argv[5]);
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = Read(argv[2]);
  const auto credentials = grpc::SslCredentials(options);
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection a channel
  std::vector<std::unique_ptr<Echo::Stub>> stubs;
  std::vector<std::vector<Echo::Stub*>> shares(threads);
  for (int i = 0; i < connections; ++i) {
    auto channel = grpc::CreateCustomChannel(std::string("localhost:") + argv[1], credentials,
                                             arguments);
    if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10))) {
      std::fprintf(stderr, "cannot connect\n");
      return 1;
    }
    stubs.push_back(Echo::NewStub(channel));
    shares[i % threads].push_back(stubs.back().get());
  }
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(seconds));
  std::vector<Tally> tallies(threads);
  std::vector<std::thread> drivers;
  for (int i = 0; i < threads; ++i) {
    drivers.emplace_back(Drive, std::cref(shares[i]), std::atoi(argv[4]), end, &tallies[i]);
  }
  for (auto& driver : drivers) driver.join();
  Tally all;
  for (const Tally& tally : tallies) {
    all.errors += tally.errors;
    all.latencies_us.insert(all.latencies_us.end(), tally.latencies_us.begin(),
                            tally.latencies_us.end());
  }
  std::sort(all.latencies_us.begin(), all.latencies_us.end());
  const size_t calls = all.latencies_us.size();
  if (calls == 0) return 1;
  std::printf("{\"calls\": %zu, \"seconds\": %.3f, \"calls_per_second\": %.1f, \"p50_us\": %d, "
              "\"p99_us\": %d, \"errors\": %lld}\n",
              calls, seconds, static_cast<double>(calls) / seconds, all.latencies_us[calls / 2],
              all.latencies_us[calls * 99 / 100], static_cast<long long>(all.errors));
  return 0;
}
