// A C++ gRPC echo server over TLS on the asynchronous interface: a completion queue and a thread
// per core, which is the fastest form that gRPC 1.51 offers.
//
// Usage: echo_server PORT CERTIFICATE KEY THREADS
#include <grpcpp/grpcpp.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "echo.grpc.pb.h"

namespace {

using needletail::benchmarks::v1::Echo;
using needletail::benchmarks::v1::EchoRequest;
using needletail::benchmarks::v1::EchoResponse;

constexpr int kWaitingCallsPerQueue = 512;

std::string Read(const char* path) {
  std::ifstream file(path);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

// One call: waits for a request, answers it, and makes room for the next.
class Call {
 public:
  Call(Echo::AsyncService* service, grpc::ServerCompletionQueue* queue)
      : service_(service), queue_(queue), responder_(&context_) {
    service_->RequestEcho(&context_, &request_, &responder_, queue_, queue_, this);
  }

  void Advance(bool ok) {
    if (!ok || is_answered_) {
      delete this;
      return;
    }
    new Call(service_, queue_);
    is_answered_ = true;
    response_.set_payload(request_.payload());
    responder_.Finish(response_, grpc::Status::OK, this);
  }

 private:
  Echo::AsyncService* service_;
  grpc::ServerCompletionQueue* queue_;
  grpc::ServerContext context_;
  EchoRequest request_;
  EchoResponse response_;
  grpc::ServerAsyncResponseWriter<EchoResponse> responder_;
  bool is_answered_ = false;
};

void Serve(Echo::AsyncService* service, grpc::ServerCompletionQueue* queue) {
  for (int i = 0; i < kWaitingCallsPerQueue; ++i) new Call(service, queue);
  void* tag = nullptr;
  bool ok = false;
  while (queue->Next(&tag, &ok)) static_cast<Call*>(tag)->Advance(ok);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: echo_server PORT CERTIFICATE KEY THREADS\n";
    return 2;
  }
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back({Read(argv[3]), Read(argv[2])});
  Echo::AsyncService service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(std::string("127.0.0.1:") + argv[1],
                           grpc::SslServerCredentials(options));
  builder.RegisterService(&service);
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues;
  for (int i = 0; i < std::atoi(argv[4]); ++i) queues.push_back(builder.AddCompletionQueue());
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  std::vector<std::thread> threads;
  for (auto& queue : queues) threads.emplace_back(Serve, &service, queue.get());
  for (auto& thread : threads) thread.join();
  return 0;
}
