internal import Messages
internal import RPC

extension DescriptionBounds {
  static let runTagValueBytesMax = 32_000
  static let experimentTagValueBytesMax = 80_000
  static let parameterValueBytesMax = 32_000
  /// Parameters of one run.
  static let parametersMax = 10_000
  static let pageSize = 1_000
  static let pageSizeMax = 1_000
  /// Bytes of keys and values from which on a page ends, so that it fits a frame.
  static let pageBytesMax = 2 << 20
  static let historyPageSize = 100
  static let historyPageSizeMax = 100
}

extension Validator {
  /// Reads tags of a run.
  mutating func runTags(_ tags: [Tag]) -> Description {
    Description(
      "tags", tags.map { ($0.key, $0.value) },
      valueBytesMax: DescriptionBounds.runTagValueBytesMax, &self)
  }

  /// Reads tags of an experiment.
  mutating func experimentTags(_ tags: [Tag]) -> Description {
    Description(
      "tags", tags.map { ($0.key, $0.value) },
      valueBytesMax: DescriptionBounds.experimentTagValueBytesMax, &self)
  }

  /// Reads parameters of a run.
  mutating func parameters(_ parameters: [Parameter]) -> Description {
    Description(
      "parameters", parameters.map { ($0.key, $0.value) },
      valueBytesMax: DescriptionBounds.parameterValueBytesMax, &self)
  }
}
