/// PostgreSQL's settings: nothing that was committed is ever lost, on a small machine.
struct PostgresSettings {
  let sockets: String
  let log: String
  let memoryBytes: Int

  /// An eighth of the memory, 128 MiB to 1 GiB: the system's own cache has the rest.
  var sharedBuffersMebibytes: Int { min(max(memoryBytes / (8 << 20), 128), 1024) }

  var text: String {
    """
    # Written by needletail at every start. Your own settings go to postgresql.conf, where they win.
    listen_addresses = ''
    port = \(ClusterFolder.port)
    unix_socket_directories = '\(quoted(sockets))'
    unix_socket_permissions = 0700
    max_connections = 100
    cluster_name = 'needletail'

    # An acknowledgement means that it is on the disk.
    fsync = on
    synchronous_commit = on
    full_page_writes = on
    wal_compression = on
    max_wal_size = 2GB

    shared_buffers = \(sharedBuffersMebibytes)MB
    effective_cache_size = \(max(memoryBytes / (2 << 20), 256))MB
    random_page_cost = 1.1
    # Statements are short and prepared: compiling them costs more than it saves.
    jit = off

    timezone = 'UTC'
    log_timezone = 'UTC'
    lc_messages = 'C.UTF-8'
    logging_collector = on
    log_directory = '\(quoted(log))'
    # A file a weekday, begun anew after a week: the log never outgrows its folder.
    log_filename = 'postgres-%a.log'
    log_truncate_on_rotation = on
    log_rotation_age = 1d
    log_rotation_size = 0
    log_line_prefix = '%m [%p] %a '

    """
  }

  private func quoted(_ text: String) -> String { text.replacing("'", with: "''") }
}
