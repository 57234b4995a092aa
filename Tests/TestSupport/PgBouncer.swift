internal import Glibc

/// PgBouncer in transaction mode before a cluster, on a socket in the cluster's folder.
public final class PgBouncer: Sendable {
  /// Where Debian keeps it.
  public static let program = "/usr/sbin/pgbouncer"

  /// Whether it is installed.
  public static var isInstalled: Bool { TestSupport.isInstalled(program) }

  /// Reaches the cluster's database `postgres` through it, as the superuser.
  public let connection: String
  private let pidFile: String

  /// Starts one with `serverConnections` connections to the server.
  public init(before cluster: TestCluster, serverConnections: Int) throws {
    let folder = cluster.folder
    pidFile = "\(folder)/pgbouncer.pid"
    connection = "host=\(folder) port=6432 user=postgres dbname=postgres"
    let configuration = """
      [databases]
      * = host=\(folder) port=5432 user=postgres

      [pgbouncer]
      listen_addr =
      listen_port = 6432
      unix_socket_dir = \(folder)
      auth_type = any
      pool_mode = transaction
      default_pool_size = \(serverConnections)
      max_client_conn = 200
      logfile = \(folder)/pgbouncer.log
      pidfile = \(pidFile)
      """
    try TestCluster.runAsPostgres(["tee", "\(folder)/pgbouncer.ini"], input: configuration)
    try TestCluster.runAsPostgres([PgBouncer.program, "-q", "-d", "\(folder)/pgbouncer.ini"])
    for _ in 0..<500 where unsafe access("\(folder)/.s.PGSQL.6432", F_OK) != 0 { usleep(10_000) }
  }

  /// Ends it.
  public func stop() {
    guard let text = try? runChecked(["cat", pidFile]),
      let process = pid_t(text.filter { $0.isNumber })
    else { return }
    kill(process, SIGTERM)
    for _ in 0..<500 where kill(process, 0) == 0 { usleep(10_000) }
  }
}
