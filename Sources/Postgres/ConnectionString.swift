internal import CPostgres
internal import Glibc

/// A connection string, taken apart so that names are resolved before libpq sees them: libpq's own
/// look-up blocks.
struct ConnectionString: Sendable {
  private struct Option {
    var keyword: String
    var value: String
  }

  private var options: [Option]

  /// Reads a URI or a keyword string.
  ///
  /// - Throws: `configuration` with libpq's words, which do not repeat a password.
  init(_ text: String, applicationName: String) throws(PostgresError) {
    options = try ConnectionString.parse(text)
    // Waiting for Kerberos would block, and its absence costs a look for a ticket cache.
    setDefault("gssencmode", "disable")
    setDefault("fallback_application_name", applicationName)
    set("client_encoding", "UTF8")
    setDefault("keepalives_idle", "30")
    setDefault("keepalives_interval", "10")
    setDefault("keepalives_count", "3")
    if self["host"] == nil, self["hostaddr"] == nil, let host = unsafe getenv("PGHOST") {
      set("host", unsafe String(cString: host))
    }
  }

  /// libpq's words without the part of the string that they quote, which may hold a password.
  private static func withoutQuotation(_ words: String) -> String {
    if words.hasPrefix("missing \"=\" after") { return "a value without its keyword" }
    return words.split(separator: ": \"", maxSplits: 1).first.map(String.init) ?? words
  }

  private static func parse(_ text: String) throws(PostgresError) -> [Option] {
    var message: UnsafeMutablePointer<CChar>?
    guard let parsed = unsafe PQconninfoParse(text, &message) else {
      defer { unsafe PQfreemem(message) }
      let words = unsafe message.map { unsafe String(cString: $0) } ?? "out of memory"
      throw .configuration("connection string: \(withoutQuotation(words.trimmed))")
    }
    defer { unsafe PQconninfoFree(parsed) }
    var options: [Option] = []
    var option = unsafe parsed
    while let keyword = unsafe option.pointee.keyword {
      if let value = unsafe option.pointee.val {
        options.append(
          Option(keyword: unsafe String(cString: keyword), value: unsafe String(cString: value)))
      }
      unsafe option += 1
    }
    return options
  }

  private subscript(keyword: String) -> String? {
    options.first { $0.keyword == keyword }?.value
  }

  private mutating func set(_ keyword: String, _ value: String) {
    options.removeAll { $0.keyword == keyword }
    options.append(Option(keyword: keyword, value: value))
  }

  private mutating func setDefault(_ keyword: String, _ value: String) {
    if self[keyword] == nil { set(keyword, value) }
  }

  /// Whether every host is a socket path or has its address already.
  var isResolved: Bool {
    guard self["hostaddr"] == nil, let hosts = self["host"] else { return true }
    return split(hosts).allSatisfy(ConnectionString.isSocketPath)
  }

  /// The same string with an address for each host; blocks while names are looked up.
  ///
  /// The hosts are rotated by `turn`, so that a host that swallows packets does not use up the time
  /// of every attempt.
  func resolved(turn: Int) -> Result<ConnectionString, PostgresError> {
    guard self["hostaddr"] == nil, let text = self["host"] else { return .success(self) }
    let hosts = split(text)
    let ports = split(self["port"] ?? "")
    guard ports.count <= 1 || ports.count == hosts.count else {
      return .failure(
        .configuration("connection string: \(ports.count) ports for \(hosts.count) hosts"))
    }
    var endpoints: [(host: String, address: String, port: String)] = []
    var problem = ""
    for offset in hosts.indices {
      let index = (offset + turn) % hosts.count
      let port = ports.count == 1 ? ports[0] : ports.isEmpty ? "" : ports[index]
      if ConnectionString.isSocketPath(hosts[index]) {
        endpoints.append((hosts[index], "", port))
        continue
      }
      switch ConnectionString.addresses(of: hosts[index]) {
      case .success(let addresses):
        for address in addresses { endpoints.append((hosts[index], address, port)) }
      case .failure(let error):
        problem = "cannot resolve host \"\(hosts[index])\": \(error.words)"
      }
    }
    guard !endpoints.isEmpty else { return .failure(.away(problem)) }
    var result = self
    result.set("host", endpoints.map(\.host).joined(separator: ","))
    result.set("hostaddr", endpoints.map(\.address).joined(separator: ","))
    result.set("port", endpoints.map(\.port).joined(separator: ","))
    return .success(result)
  }

  private struct LookupFailure: Error {
    var words: String
  }

  private static func addresses(of host: String) -> Result<[String], LookupFailure> {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_family = AF_UNSPEC
    var list: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(host, nil, &hints, &list)
    guard code == 0 else {
      return .failure(LookupFailure(words: unsafe String(cString: gai_strerror(code))))
    }
    defer { unsafe freeaddrinfo(list) }
    var addresses: [String] = []
    var next = unsafe list
    while let entry = unsafe next {
      let text = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
        let status = unsafe getnameinfo(
          entry.pointee.ai_addr, entry.pointee.ai_addrlen, buffer.baseAddress, 64, nil, 0,
          NI_NUMERICHOST)
        return status == 0 ? unsafe buffer.baseAddress.map { unsafe String(cString: $0) } : nil
      }
      if let text, !addresses.contains(text) { addresses.append(text) }
      unsafe next = entry.pointee.ai_next
    }
    return .success(addresses)
  }

  private static func isSocketPath(_ host: String) -> Bool {
    host.isEmpty || host.hasPrefix("/") || host.hasPrefix("@")
  }

  private func split(_ text: String) -> [String] {
    text.isEmpty
      ? [] : text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
  }

  /// Begins to connect without blocking.
  func open() -> ConnectionHandle? {
    var keywords = unsafe options.map { unsafe strdup($0.keyword) }
    var values = unsafe options.map { unsafe strdup($0.value) }
    defer {
      for index in unsafe keywords.indices { unsafe free(keywords[index]) }
      for index in unsafe values.indices { unsafe free(values[index]) }
    }
    unsafe keywords.append(nil)
    unsafe values.append(nil)
    let keywordPointers = unsafe keywords.map { unsafe UnsafePointer($0) }
    let valuePointers = unsafe values.map { unsafe UnsafePointer($0) }
    guard let raw = unsafe PQconnectStartParams(keywordPointers, valuePointers, 0) else {
      return nil
    }
    return unsafe ConnectionHandle(adopting: raw)
  }
}

extension String {
  /// Without white space and newlines at its ends.
  var trimmed: String {
    var text = self[...]
    while let last = text.last, last.isWhitespace { text.removeLast() }
    while let first = text.first, first.isWhitespace { text.removeFirst() }
    return String(text)
  }
}
