import Testing

@testable import ControlPlane

@Suite("What the embedded PostgreSQL reads and decides")
struct EmbeddedPostgresRulesTests {
  @Test(
    "The version is found in the program's answer",
    arguments: [
      ("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n", "15.20"),
      ("postgres (PostgreSQL) 17beta1\n", "17"),
      ("postgres (EnterpriseDB) x\n", nil),
      ("", nil),
    ])
  func version(answer: String, expected: String?) {
    #expect(PostgresPrograms.version(in: answer) == expected)
  }

  private func choose(
    _ versions: [String], cluster: String?
  ) throws(EmbeddedPostgresError) -> String {
    let found = versions.map { PostgresPrograms(folder: "/pg/\($0)/bin", version: $0) }
    return try PostgresPrograms.choose(
      from: found, searched: ["/pg"], clusterVersion: cluster, cluster: "/data"
    ).version
  }

  @Test("A new cluster takes the newest programs, an old one its own")
  func choice() throws {
    #expect(try choose(["15.20", "17.1", "16.2"], cluster: nil) == "17.1")
    #expect(try choose(["15.20", "17.1"], cluster: "15") == "15.20")
  }

  @Test(
    "Programs that will not do are refused with both versions",
    arguments: [
      (["14.9"], nil, EmbeddedPostgresError.Reason.programsTooOld, "is version 14.9; 15 or newer"),
      (["16.1"], "15", .versionMismatch, "made by PostgreSQL 15, but the programs in /pg/16.1/bin"),
      ([], nil, .programsMissing, "in /pg; install"),
    ])
  func refusal(
    versions: [String], cluster: String?, reason: EmbeddedPostgresError.Reason, text: String
  ) {
    let error = #expect(throws: EmbeddedPostgresError.self) {
      try choose(versions, cluster: cluster)
    }
    #expect(error?.reason == reason)
    #expect(error?.detail.contains(text) == true)
  }

  @Test("The pid file is read whole, in part, and not at all")
  func pidFile() {
    let whole = PostmasterFile("42\n/data\n1700000000\n5432\n/run\n\n  1 2\nready   \n")
    #expect(whole?.pid == 42)
    #expect(whole?.dataFolder == "/data")
    #expect(whole?.socketFolder == "/run")
    #expect(whole?.status == "ready")
    #expect(PostmasterFile("42\n/data\n")?.status == "")
    for text in ["", "x\n/data\n", "-1\n/data\n", "0\n/data\n", "42"] {
      #expect(PostmasterFile(text) == nil)
    }
  }

  @Test(
    "The shared buffers follow the memory within bounds",
    arguments: [(1, 128), (4, 512), (64, 1024)])
  func memory(gibibytes: Int, expected: Int) {
    let settings = PostgresSettings(sockets: "/run", log: "/log", memoryBytes: gibibytes << 30)
    #expect(settings.sharedBuffersMebibytes == expected)
  }

  @Test("A path with an apostrophe cannot break out of the settings")
  func quoting() {
    let settings = PostgresSettings(sockets: "/it's", log: "/log", memoryBytes: 1 << 30)
    #expect(settings.text.contains("unix_socket_directories = '/it''s'"))
  }

  @Test("A connection string escapes the folder")
  func connectionString() {
    #expect(
      EmbeddedPostgres.connectionString(sockets: "/a b/c")
        == "postgresql:///needletail?host=%2Fa%20b%2Fc&port=5432&user=needletail")
  }
}
