internal import Messages
internal import Postgres
internal import RPC

/// The bounds of evaluation datasets and their records.
enum EvaluationBounds {
  static let nameBytes = 1...500
  static let authorBytesMax = 250
  static let tagsMax: Int64 = 1_000
  static let experimentsMax = 1_000
  /// Bytes of the inputs of a record, and of its outputs.
  static let valueBytesMax = 1 << 20
  static let expectationsBytesMax = 512 << 10
  /// Bytes of the tags of a record, and of what says where it comes from.
  static let detailBytesMax = 64 << 10
  /// Records that one request writes, or deletes.
  static let recordsPerRequestMax = 1_000
  static let recordsPageSize = 1_000
  static let pageSize = 100
  static let pageSizeMax = 500
}

extension Validator {
  /// Checks ids, each of which may come once.
  mutating func evaluationIDs(
    _ field: String, _ texts: [String], count: ClosedRange<Int>
  ) -> [UUID] {
    if !count.contains(texts.count) {
      refuse(
        field, "must be \(count.lowerBound) to \(count.upperBound), are \(texts.count)")
    }
    var ids: [UUID] = []
    var seen: Set<UUID> = []
    for (index, text) in texts.prefix(count.upperBound).enumerated() {
      let id = id("\(field)[\(index)]", text)
      if !seen.insert(id).inserted { refuse("\(field)[\(index)]", "must not come twice") }
      ids.append(id)
    }
    return ids
  }

  /// Checks a record to write.
  mutating func check(_ record: EvaluationRecord, _ field: String) {
    object(
      "\(field).inputs_json", record.inputsJSON, bytesMax: EvaluationBounds.valueBytesMax)
    if let outputs = record.outputsJSON {
      jsonValue("\(field).outputs_json", outputs, bytesMax: EvaluationBounds.valueBytesMax)
    }
    for (name, text, bytesMax) in [
      ("expectations_json", record.expectationsJSON, EvaluationBounds.expectationsBytesMax),
      ("tags_json", record.tagsJSON, EvaluationBounds.detailBytesMax),
      ("source_json", record.sourceJSON, EvaluationBounds.detailBytesMax),
    ] {
      if let text { object("\(field).\(name)", text, bytesMax: bytesMax) }
    }
    optionalText(
      "\(field).author", record.author, bytesMax: EvaluationBounds.authorBytesMax)
  }

  private mutating func object(_ field: String, _ text: String, bytesMax: Int) {
    if jsonObject(field, text, bytesMax: bytesMax) != text {
      refuse(field, "must be a JSON object, at least {}")
    }
  }
}
