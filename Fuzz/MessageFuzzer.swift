// Feeds bytes to the decoder of every message that a peer may send.
//
// Build and run for a minute, from the package's folder, after `swift build --target Messages`:
//
//   mkdir -p .build-fuzz/messages .build-fuzz/message-corpus
//   modules=$(ls .build/debug/{CMessages,CProtobufC}.build/module.modulemap)
//   (cd .build-fuzz/messages && clang -c -O1 -g -fsanitize=fuzzer-no-link,address \
//     -I../../Sources/CMessages/include -I../../Sources/CProtobufC/include \
//     $(find ../../Sources/CMessages -name '*.c'))
//   swiftc -O -sanitize=fuzzer,address -parse-as-library -module-name MessageFuzzer \
//     $(printf -- '-Xcc -fmodule-map-file=%s ' $modules) -I Sources/CMessages/include \
//     -I Sources/CProtobufC/include $(find Sources/Messages -name '*.swift') \
//     Fuzz/MessageFuzzer.swift .build-fuzz/messages/*.o -lprotobuf-c -o .build-fuzz/message
//   SWIFT_BACKTRACE=enable=no .build-fuzz/message -max_total_time=60 .build-fuzz/message-corpus

/// The first byte chooses the message, the others are its wire format.
///
/// A trap, an overflow or a read out of bounds is a finding.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  guard let choice = input.first else { return 0 }
  checks[Int(choice) % checks.count](Array(input.dropFirst()))
  return 0
}

/// The requests, and the responses with the most in them.
private let checks: [@Sendable ([UInt8]) -> Void] = [
  { check(AppendMetricsRequest.self, $0) }, { check(CreateRunRequest.self, $0) },
  { check(UpdateRunRequest.self, $0) }, { check(FinishRunRequest.self, $0) },
  { check(ListRunsResponse.self, $0) }, { check(ListRunMetricsResponse.self, $0) },
  { check(WatchRunResponse.self, $0) }, { check(WhoAmIResponse.self, $0) },
  { check(ListMethodsResponse.self, $0) }, { check(HealthResponse.self, $0) },
  { check(UpdateExperimentRequest.self, $0) }, { check(StreamMetricHistoryRequest.self, $0) },
]

/// What was accepted is written and read again without change.
private func check<Checked: Message>(_: Checked.Type, _ bytes: [UInt8]) {
  guard let message = try? Checked.decode(bytes) else { return }  // refusing is always right
  let encoded = message.encoded
  guard let again = try? Checked.decode(encoded) else {
    preconditionFailure("\(Checked.fullName) does not read what it wrote")
  }
  precondition(again.encoded == encoded, "\(Checked.fullName) changes what it reads")
}
