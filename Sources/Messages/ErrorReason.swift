/// Why a call failed, for programs: one of a service's `…ErrorReason` enum.
public protocol ErrorReason: Sendable {
  /// The stable name on the wire: `RUN_NOT_FOUND`.
  var name: String { get }

  /// The canonical code that always accompanies the reason, by its number: 5 is NOT_FOUND.
  var codeNumber: UInt32 { get }
}

extension ErrorReason where Self: RawRepresentable, RawValue == String {
  /// The stable name on the wire: `RUN_NOT_FOUND`.
  public var name: String { rawValue }
}
