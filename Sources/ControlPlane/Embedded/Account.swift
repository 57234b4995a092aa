internal import CProcess
internal import Glibc

/// A user of the operating system.
struct Account: Equatable {
  let name: String
  let user: uid_t
  let group: gid_t

  /// The user this process runs as.
  static var current: Account {
    Account(user: geteuid()) ?? Account(name: "\(geteuid())", user: geteuid(), group: getegid())
  }

  /// The user that PostgreSQL is to run as: this one, unless this one is root.
  ///
  /// Root's place takes the given user, else `postgres`, else `nobody`.
  static func forPostgres(_ given: String?) throws(EmbeddedPostgresError) -> Account {
    let current = Account.current
    guard current.user == 0 else {
      guard let given, given != current.name else { return current }
      throw EmbeddedPostgresError(
        .accountUnusable, "PostgreSQL can run as \(given) only when the server is started by root")
    }
    if let given {
      guard let account = Account(named: given) else {
        throw EmbeddedPostgresError(.accountUnusable, "there is no user \(given)")
      }
      guard account.user != 0 else {
        throw EmbeddedPostgresError(.accountUnusable, "PostgreSQL does not run as \(given)")
      }
      return account
    }
    guard let account = Account(named: "postgres") ?? Account(named: "nobody") else {
      throw EmbeddedPostgresError(
        .accountUnusable, "PostgreSQL does not run as root, and there is no user postgres")
    }
    return account
  }

  init(name: String, user: uid_t, group: gid_t) {
    self.name = name
    self.user = user
    self.group = group
  }

  init?(named name: String) {
    unsafe self.init { unsafe getpwnam_r(name, $0, $1, $2, $3) }
  }

  init?(user: uid_t) {
    unsafe self.init { unsafe getpwuid_r(user, $0, $1, $2, $3) }
  }

  private init?(
    _ find: (
      UnsafeMutablePointer<passwd>, UnsafeMutablePointer<CChar>, Int,
      UnsafeMutablePointer<UnsafeMutablePointer<passwd>?>
    ) -> Int32
  ) {
    var entry = unsafe passwd()
    var found: UnsafeMutablePointer<passwd>?
    var text = [CChar](repeating: 0, count: 16_384)
    // The entry's strings lie in the buffer.
    let name: String? = unsafe text.withUnsafeMutableBufferPointer { text in
      guard let start = text.baseAddress else { return nil }
      guard unsafe find(&entry, start, text.count, &found) == 0, unsafe found != nil else {
        return nil
      }
      return unsafe String(cString: entry.pw_name)
    }
    guard let name else { return nil }
    unsafe self.init(name: name, user: entry.pw_uid, group: entry.pw_gid)
  }

  /// All groups it is a member of.
  var groups: [gid_t] {
    var groups = [gid_t](repeating: 0, count: 64)
    let count = unsafe ntl_groups(name, group, &groups, Int32(groups.count))
    return Array(groups.prefix(max(Int(count), 1)))
  }
}
