/// The bounds of models.
enum ModelBounds {
  /// Characters of a name, which are Unicode scalars.
  static let nameScalars = 1...255
  static let descriptionBytesMax = 16 << 10
  static let metadataBytesMax = 64 << 10
  static let kindBytesMax = 100
  static let pageSize = 100
  static let pageSizeMax = 1_000
  /// Unicode scalars of a tag's value.
  static let tagValueScalarsMax = 100_000
  /// Bytes of the tags of one model or version together, keys and values, so that all come along
  /// with it.
  static let tagBytesMax: Int64 = 512 << 10
  /// Aliases of a model at one time.
  static let aliasesMax: Int64 = 100
  static let aliasBytes = 1...255
  /// Bytes from which on a page ends, so that it fits a frame.
  static let pageBytesMax = 2 << 20
  /// Bytes of tags that a page reads; what is beyond waits for the next.
  static let pageTagBytesMax: Int64 = 1 << 20
  /// Bytes of latest versions that a page reads; what is beyond waits for the next.
  static let pageVersionBytesMax: Int64 = 2 << 20
}

/// The bounds of versions.
enum VersionBounds {
  static let versionBytesMax = 100
  static let statusMessageBytesMax = 4 << 10
  /// Unicode scalars of a URI or a link.
  static let linkScalarsMax = 1_000
  static let sourceRunBytesMax = 500
  static let loggedModelBytesMax = 250
  static let userBytesMax = 250
  static let descriptionBytesMax = 16 << 10
  static let requirementsBytesMax = 64 << 10
  static let objectBytesMax = 64 << 10
  static let commentBytesMax = 4 << 10
}
