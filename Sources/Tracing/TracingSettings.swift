/// The bounds of what a trace may have.
public struct TracingSettings: Sendable {
  /// Spans of a trace.
  public var spansMax: Int64 = 10_000
  /// Tags of a trace.
  public var tagsMax: Int64 = 1_000
  /// Pieces of metadata of a trace.
  public var metadataMax: Int64 = 1_000
  /// Assessments of a trace.
  public var assessmentsMax: Int64 = 1_000
  /// Records of an evaluation dataset.
  public var evaluationRecordsMax: Int64 = 100_000
  /// Versions of a scorer.
  public var scorerVersionsMax: Int64 = 1_000

  /// Makes settings with every bound at its default.
  public init() {}
}
