/// What a message that is decoded may cost.
public enum MessageLimits {
  /// Messages within messages; the outermost counts as 1.
  public static let nestingMax = 32

  /// Elements of all repeated fields and maps of a message together, its nested messages included.
  ///
  /// As many as 10,000 messages, each of a message of its own, have.
  public static let elementsMax = 20_000

  /// Packed columns of numbers of a message together, its nested messages included.
  ///
  /// The numbers of a column are bounded by the message's bytes instead.
  public static let columnsMax = 40_000

  /// Bytes of memory that any message may take while it is decoded, however small it is.
  public static let arenaBytesBase = 64 * 1024

  /// Bytes of memory that each byte of a message may take beyond ``arenaBytesBase``.
  ///
  /// One byte of a packed field becomes eight, an empty element a struct and its place in
  /// protobuf-c's lists.
  public static let arenaBytesPerByte = 16

  /// Bytes of memory that a message of `byteCount` bytes may take while it is decoded.
  static func arenaBytes(forByteCount byteCount: Int) -> Int {
    arenaBytesBase + byteCount * arenaBytesPerByte
  }
}
