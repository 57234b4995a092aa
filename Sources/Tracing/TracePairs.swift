internal import Messages
internal import Postgres
internal import RPC

extension TracingService {
  /// Adds the statements that set tags of a trace, and refuse more than it may have.
  func write(_ tags: TracePairs, of id: UUID, _ batch: inout Batch, _ call: CallContext) {
    guard !tags.isEmpty else { return }
    let organizationID = call.principal.organizationID
    batch.add(
      TracesQueries.writeTraceTags(
        organizationID: organizationID, traceIDs: tags.keys.map { _ in id }, keys: tags.keys,
        tagValues: tags.values))
    batch.add(
      TracesQueries.checkTraceTags(
        traceIDs: [id], countMax: settings.tagsMax, bytesMax: TraceBounds.pairsBytesMax,
        organizationID: organizationID))
  }

  /// Adds the statements that write metadata of a trace, and refuse more than it may have.
  ///
  /// What is there stays where `isKept`.
  func write(
    _ metadata: TracePairs, of id: UUID, isKept: Bool, _ batch: inout Batch, _ call: CallContext
  ) {
    guard !metadata.isEmpty else { return }
    let organizationID = call.principal.organizationID
    batch.add(
      TracesQueries.writeTraceMetadata(
        organizationID: organizationID, traceIDs: metadata.keys.map { _ in id },
        keys: metadata.keys, entryValues: metadata.values, isKept: isKept))
    batch.add(
      TracesQueries.checkTraceMetadata(
        traceIDs: [id], countMax: settings.metadataMax, bytesMax: TraceBounds.pairsBytesMax,
        organizationID: organizationID))
  }
}

extension Validator {
  /// Checks keys to delete, none of which is set as well.
  mutating func deleteKeys(_ field: String, _ keys: [String], besides set: TracePairs) {
    if keys.count > TraceBounds.pairsMax {
      refuse(field, "must be at most \(TraceBounds.pairsMax), are \(keys.count)")
    }
    var seen = Set(set.keys.map { ExactText($0) })
    for (index, key) in keys.enumerated() {
      name("\(field)[\(index)]", key, characters: TraceBounds.keyCharacters)
      if !seen.insert(ExactText(key)).inserted {
        refuse("\(field)[\(index)]", "must not come twice, nor be set as well")
      }
    }
  }
}
