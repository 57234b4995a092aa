internal import Messages
internal import RPC

/// A run's source, as the database keeps it.
enum SourceText {
  /// Bytes of each text.
  static let bytesMax = 1_000

  private static let names = [
    "entry_point", "git_commit", "git_repository", "git_branch", "git_dirty", "code_digest", "host",
    "process_number",
  ]

  private static func texts(_ source: RunSource) -> [String] {
    [
      source.entryPoint, source.gitCommit, source.gitRepository, source.gitBranch,
      source.gitDirty ? "true" : "", source.codeDigest, source.host,
      source.processNumber == 0 ? "" : String(source.processNumber),
    ]
  }

  /// A JSON object of what is said.
  static func json(_ source: RunSource) -> String {
    JSONText.object(Array(zip(names, texts(source))).filter { !$0.1.isEmpty })
  }

  /// The source in the fields that a statement returned; nil when nobody said any.
  static func source(_ texts: [String]?) -> RunSource? {
    guard let texts, texts.count == names.count else { return nil }
    return RunSource(
      entryPoint: texts[0], gitCommit: texts[1], gitRepository: texts[2], gitBranch: texts[3],
      gitDirty: texts[4] == "true", codeDigest: texts[5], host: texts[6],
      processNumber: Int64(texts[7]) ?? 0)
  }

  /// What is stored of a source: nil when it says nothing.
  static func stored(_ source: RunSource?) -> RunSource? {
    source.flatMap { texts($0).allSatisfy(\.isEmpty) ? nil : $0 }
  }

  /// Checks the bounds of every text.
  static func check(_ source: RunSource?, _ validator: inout Validator) {
    guard let source else { return }
    for (name, text) in zip(names, texts(source)) {
      validator.text("source.\(name)", text, bytesMax: bytesMax)
    }
    if source.processNumber < 0 {
      validator.refuse("source.process_number", "must not be negative")
    }
  }
}
