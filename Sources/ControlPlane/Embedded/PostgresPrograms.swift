internal import Foundation

/// The folder with PostgreSQL's server programs, and their version.
struct PostgresPrograms: Equatable {
  /// The oldest major version that is supported.
  static let oldestMajor = 15

  let folder: String
  /// The version as the programs tell it ("15.20").
  let version: String
  var major: Int { PostgresPrograms.major(of: version) }

  var postgres: String { folder + "/postgres" }
  var initdb: String { folder + "/initdb" }

  /// The leading number of a version; 0 when there is none.
  static func major(of version: String) -> Int {
    Int(version.prefix { $0.isNumber }) ?? 0
  }

  /// The version in the answer to `postgres --version`.
  static func version(in answer: String) -> String? {
    // "postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)"
    guard let start = answer.range(of: "(PostgreSQL) ") else { return nil }
    let version = answer[start.upperBound...].prefix { $0.isNumber || $0 == "." }
    return version.isEmpty ? nil : String(version)
  }

  /// Chooses programs: those of a cluster's version, or the newest when there is no cluster yet.
  ///
  /// - Throws: ``EmbeddedPostgresError`` that says what was found and what is needed.
  static func choose(
    from found: [PostgresPrograms], searched: [String], clusterVersion: String?, cluster: String
  ) throws(EmbeddedPostgresError) -> PostgresPrograms {
    guard let newest = found.max(by: { $0.major < $1.major }) else {
      throw EmbeddedPostgresError(
        .programsMissing,
        "no PostgreSQL programs (postgres, initdb) in \(searched.joined(separator: ", ")); install "
          + "PostgreSQL \(oldestMajor) or newer, or set DATABASE_URL to a running server")
    }
    if let clusterVersion {
      let wanted = major(of: clusterVersion)
      if let match = found.first(where: { $0.major == wanted }) { return match }
      throw EmbeddedPostgresError(
        .versionMismatch,
        "\(cluster) was made by PostgreSQL \(clusterVersion), but the programs in \(newest.folder) "
          + "are version \(newest.version); install PostgreSQL \(clusterVersion), or move the data "
          + "with pg_upgrade")
    }
    guard newest.major >= oldestMajor else {
      throw EmbeddedPostgresError(
        .programsTooOld,
        "the PostgreSQL in \(newest.folder) is version \(newest.version); "
          + "\(oldestMajor) or newer is needed")
    }
    return newest
  }

  /// The folders to look into: the given one alone, or the usual places and the search path.
  static func places(given: String?, searchPath: String) -> [String] {
    if let given { return [given] }
    var places: [String] = []
    for root in ["/usr/lib/postgresql", "/usr/local/lib/postgresql"] {
      // A folder that cannot be listed holds nothing for us.
      let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
      places += versions.sorted { major(of: $0) > major(of: $1) }.map { "\(root)/\($0)/bin" }
    }
    places += ["/usr/local/pgsql/bin", "/opt/homebrew/bin"]
    for place in searchPath.split(separator: ":").map(String.init) where !places.contains(place) {
      places.append(place)
    }
    return places
  }

  /// The programs of a folder, if they are there and tell their version.
  static func inspect(_ folder: String, scratch: String) async -> PostgresPrograms? {
    guard isExecutable(folder + "/postgres"), isExecutable(folder + "/initdb") else { return nil }
    let output = scratch + "/version"
    // Programs that cannot be started or read are as good as absent.
    guard
      let child = try? ChildProcess.start(
        [folder + "/postgres", "--version"], as: .current, output: output)
    else { return nil }
    guard await child.end(within: .seconds(10)) == .exited(0),
      let version = version(in: readText(output) ?? "")
    else { return nil }
    return PostgresPrograms(folder: folder, version: version)
  }
}

/// The text of a small file; nil when it cannot be read.
func readText(_ path: String) -> String? {
  try? String(contentsOfFile: path, encoding: .utf8)
}
