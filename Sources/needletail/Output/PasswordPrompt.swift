internal import Glibc

/// Asks for passwords: hidden on a terminal, else a line each of standard input.
///
/// They are never arguments, which every process of the machine can read.
enum PasswordPrompt {
  /// The longest line that is read, in bytes; the server takes less.
  private static let bytesMax = 65_536

  /// Asks for one that is there.
  static func ask(_ prompt: String) throws -> String {
    guard isatty(STDIN_FILENO) == 1 else { return try readLine(isTerminal: false) }
    return try hidden { () throws in
      complain("\(prompt): ")
      defer { complain("\n") }
      return try readLine(isTerminal: true)
    }
  }

  /// Asks for a new one, on a terminal twice.
  static func askNew(_ prompt: String) throws -> String {
    let password = try ask(prompt)
    guard isatty(STDIN_FILENO) == 1 else { return password }
    guard try ask("\(prompt), again") == password else {
      throw CommandFailure(.usage, reason: "PASSWORDS_DIFFER", "The two passwords differ.")
    }
    return password
  }

  private static func complain(_ text: String) {
    let bytes = Array(text.utf8)
    // Who sees no prompt can still type.
    _ = unsafe write(STDERR_FILENO, bytes, bytes.count)
  }

  /// Runs `body` while the terminal shows nothing and gives every key as it is typed, so that
  /// Control-C is seen here and never leaves the terminal mute.
  private static func hidden(_ body: () throws -> String) throws -> String {
    var before = termios()
    guard unsafe tcgetattr(STDIN_FILENO, &before) == 0 else { return try body() }
    var silent = before
    silent.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
    _ = unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
    defer { _ = unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &before) }
    return try body()
  }

  private static func readLine(isTerminal: Bool) throws -> String {
    var line: [UInt8] = []
    while true {
      var byte: UInt8 = 0
      let count = unsafe read(STDIN_FILENO, &byte, 1)
      if count < 0, errno == EINTR { continue }
      if count <= 0 || byte == 0x0A || (isTerminal && (byte == 0x0D || byte == 0x04)) { break }
      if isTerminal, byte == 0x03 {
        throw CommandFailure(.other, reason: "INTERRUPTED", "Interrupted.")
      }
      if isTerminal, byte == 0x7F || byte == 0x08 {
        // A character's last byte is the one that is no continuation.
        while let last = line.popLast(), last & 0xC0 == 0x80 {}
        continue
      }
      guard line.count < bytesMax else {
        throw CommandFailure(.usage, reason: "PASSWORD_TOO_LONG", "The password is too long.")
      }
      line.append(byte)
    }
    if !isTerminal, line.last == 0x0D { line.removeLast() }
    return String(decoding: line, as: UTF8.self)
  }
}
