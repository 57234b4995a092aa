internal import RPC
internal import Tracing

extension Setting {
  static let traceSettings: [Setting] = [
    number("trace-spans-max", "spans of a trace", \.tracing.spansMax, most: 1_000_000),
    number("trace-tags-max", "tags of a trace", \.tracing.tagsMax, most: 10_000),
    number(
      "trace-metadata-max", "pieces of metadata of a trace", \.tracing.metadataMax, most: 10_000),
    number(
      "trace-assessments-max", "assessments of a trace", \.tracing.assessmentsMax, most: 10_000),
    number(
      "evaluation-records-max", "records of an evaluation dataset",
      \.tracing.evaluationRecordsMax, most: 1_000_000),
    number(
      "scorer-versions-max", "versions of a scorer", \.tracing.scorerVersionsMax, most: 100_000),
    Setting(
      name: "traces-kept-for",
      help: "time for which traces are kept, like 720h, or none: until somebody deletes them",
      show: { $0.housekeeping.tracesKeptFor.map(DurationText.text) ?? "none" },
      read: { options, text in
        let value = DurationText.read(text)
        guard text == "none" || value != nil else { return false }
        options.housekeeping.tracesKeptFor = value
        return true
      }),
  ]
}
