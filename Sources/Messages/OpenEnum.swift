/// A protobuf enum as a Swift value: numbers it does not know are kept.
public protocol OpenEnum: Sendable, Hashable {
  /// The value of number 0, what an absent field has.
  init()

  /// The value of a number, known or not.
  init(number: Int32)

  /// The value's number in the .proto.
  var number: Int32 { get }

  /// The value's name in the .proto: `RUN_STATUS_RUNNING`; the number's digits when it is unknown.
  var name: String { get }
}
