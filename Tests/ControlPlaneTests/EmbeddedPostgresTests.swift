import Foundation
import Glibc
import Testing

@testable import ControlPlane

@Suite("The embedded PostgreSQL", .serialized, .timeLimit(.minutes(2)))
struct EmbeddedPostgresTests {
  @Test("makes a durable cluster that only its user can reach, and keeps it over a restart")
  func lifecycle() async throws {
    let place = try Place()
    var postgres = place.postgres()
    let url = try await postgres.start()
    #expect(place.events.contains { if case .created = $0 { true } else { false } })
    let shown = try await place.query(
      url,
      """
      select string_agg(name || '=' || setting, ' ' order by name) from pg_settings where name in
      ('fsync', 'synchronous_commit', 'full_page_writes', 'listen_addresses', 'data_checksums',
      'jit', 'max_connections', 'wal_compression', 'unix_socket_permissions', 'server_encoding')
      """)
    #expect(
      shown == "data_checksums=on fsync=on full_page_writes=on jit=off listen_addresses= "
        + "max_connections=100 server_encoding=UTF8 synchronous_commit=on "
        + "unix_socket_permissions=0700 wal_compression=pglz")
    #expect(
      try await place.query(
        url, "select datcollate from pg_database where datname = current_database()")
        == "C.UTF-8")
    #expect(try place.mode("postgres") == 0o700)
    #expect(try place.mode("postgres/data") == 0o700)
    _ = try await place.query(url, "create table kept (number int); insert into kept values (7)")
    await postgres.stop()
    #expect(place.events.last == .stopped)
    #expect(!place.exists("postgres/data/postmaster.pid"))

    postgres = place.postgres()
    #expect(try await postgres.start() == url)
    #expect(try await place.query(url, "select number from kept") == "7")
    await postgres.stop()
  }

  @Test("is started again after it was killed, when those it left behind are gone")
  func supervision() async throws {
    let place = try Place()
    let postgres = place.postgres()
    let url = try await postgres.start()
    _ = try await place.query(url, "create table kept (number int); insert into kept values (7)")
    // A backend that notices nothing until it is told.
    let busy = try place.startQuery(
      url, "set application_name = 'busy'; do $$ begin loop null; end loop; end $$")
    try await place.awaitRow(
      url, "select 1 from pg_stat_activity where application_name = 'busy' and state = 'active'")
    let first = try #require(await postgres.pid)
    let supervision = Task { await postgres.superviseUntilStopped() }
    kill(first, SIGKILL)
    try await place.awaitEvent { if case .started(let pid) = $0 { pid != first } else { false } }
    #expect(place.events.contains(.died(pid: first)))
    #expect(try await place.query(url, "select number from kept") == "7")
    busy.waitUntilExit()
    await postgres.stop()
    await supervision.value
    #expect(place.events.last == .stopped)
  }

  @Test("is taken over, still running, by the server that follows one that crashed")
  func adoption() async throws {
    let place = try Place()
    var crashed: EmbeddedPostgres? = place.postgres()
    let url = try #require(try await crashed?.start())
    let pid = try #require(await crashed?.pid)
    crashed = nil
    let second = place.postgres()
    #expect(try await second.start() == url)
    #expect(place.events.last == .adopted(pid: pid))
    #expect(try await place.query(url, "select 1") == "1")
    // And it is looked after like one's own child.
    let supervision = Task { await second.superviseUntilStopped() }
    kill(pid, SIGKILL)
    try await place.awaitEvent { if case .started(let new) = $0 { new != pid } else { false } }
    #expect(try await place.query(url, "select 1") == "1")
    await second.stop()
    await supervision.value
  }

  @Test("starts over a pid file whose number belongs to another program now")
  func stalePidFile() async throws {
    let place = try Place()
    var postgres = place.postgres()
    _ = try await postgres.start()
    await postgres.stop()
    let file =
      "\(getpid())\n\(place.path)/postgres/data\n1\n5432\n\(place.path)/run\n\n1 1\nready\n"
    try place.write("postgres/data/postmaster.pid", file)
    postgres = place.postgres()
    let url = try await postgres.start()
    #expect(try await place.query(url, "select 1") == "1")
    await postgres.stop()
  }

  @Test("refuses a folder of another version, one in use, and settings it cannot read")
  func refusals() async throws {
    let place = try Place()
    let postgres = place.postgres()
    _ = try await postgres.start()
    let other = place.postgres()
    await #expect(
      throws: EmbeddedPostgresError(
        .folderInUse,
        "another server (process \(getpid())) uses the folder \(place.path)/postgres; "
          + "stop it, or choose another folder")
    ) { try await other.start() }
    await postgres.stop()

    let version = try place.read("postgres/data/PG_VERSION")
    try place.write("postgres/data/PG_VERSION", "9\n")
    let mismatch = await #expect(throws: EmbeddedPostgresError.self) { try await other.start() }
    #expect(mismatch?.reason == .versionMismatch)
    #expect(mismatch?.detail.contains("was made by PostgreSQL 9, but the programs in ") == true)
    try place.write("postgres/data/PG_VERSION", version)

    try place.write("postgres/data/postgresql.conf", "include 'needletail.conf'\nnonsense = 1\n")
    let broken = await #expect(throws: EmbeddedPostgresError.self) { try await other.start() }
    #expect(broken?.reason == .startFailed)
    #expect(broken?.detail.contains("nonsense") == true)
  }

  @Test("puts its socket into a short folder when the data folder's path is long")
  func longPath() async throws {
    let place = try Place(length: 120)
    // What a crash in the making of a cluster left behind.
    let remains = "\(place.path)/postgres/data.new"
    try FileManager.default.createDirectory(atPath: remains, withIntermediateDirectories: true)
    place.give("postgres")
    let postgres = place.postgres()
    let url = try await postgres.start()
    #expect(url.contains("host=%2Ftmp%2Fneedletail-"))
    #expect(try await place.query(url, "select 1") == "1")
    #expect(!place.exists("postgres/data.new"))
    await postgres.stop()
  }

  @Test(
    "started by root, refuses a folder that its user owns not or cannot reach",
    .enabled(if: geteuid() == 0))
  func foreignFolders() async throws {
    let place = try Place()
    try FileManager.default.createDirectory(
      atPath: "\(place.path)/postgres", withIntermediateDirectories: false)
    let foreign = await #expect(throws: EmbeddedPostgresError.self) {
      try await place.postgres().start()
    }
    #expect(foreign?.reason == .ownerMismatch)
    #expect(foreign?.detail.contains("belongs to root, but PostgreSQL runs as ") == true)

    let hidden = try Place()
    #expect(unsafe chmod(hidden.path, 0o700) == 0)
    let unreachable = await #expect(throws: EmbeddedPostgresError.self) {
      try await hidden.postgres().start()
    }
    #expect(unreachable?.reason == .folderUnusable)
    #expect(unreachable?.detail.contains("cannot reach \(hidden.path)/postgres") == true)

    let strange = place.postgres { $0.account = "nobody-of-that-name" }
    await #expect(
      throws: EmbeddedPostgresError(.accountUnusable, "there is no user nobody-of-that-name")
    ) { try await strange.start() }
  }

  @Test("names the places where it looked for programs in vain")
  func noPrograms() async throws {
    let place = try Place()
    let error = await #expect(throws: EmbeddedPostgresError.self) {
      try await place.postgres { $0.programsFolder = "/nowhere/bin" }.start()
    }
    #expect(error?.reason == .programsMissing)
    #expect(error?.detail.contains("in /nowhere/bin; install PostgreSQL 15 or newer") == true)
  }
}
