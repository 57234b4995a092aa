internal import Glibc

/// The process's standard streams.
enum Console {
  /// Whether a person sees standard output, and has not asked for no colour.
  static let isColored: Bool =
    isatty(STDOUT_FILENO) == 1 && variable("NO_COLOR") == nil && variable("TERM") != "dumb"

  /// Writes text to standard output at once; ends the process when it cannot be written.
  static func write(_ text: String) {
    guard send(text, to: STDOUT_FILENO) else { endUnwritten(errno) }
  }

  /// Ends the process because standard output took no more: in good order when its reader has
  /// gone, as `head` does, else with an error.
  static func endUnwritten(_ code: Int32) -> Never {
    guard code != EPIPE else { Needletail.leave(.ok) }
    complain("error: standard output cannot be written: \(unsafe String(cString: strerror(code)))")
    Needletail.leave(.other)
  }

  /// Writes a line to standard output.
  static func line(_ text: String) { write(text + "\n") }

  /// Writes a line to standard error.
  static func complain(_ text: String) {
    // There is nowhere left to say that nobody hears it.
    _ = send(text + "\n", to: STDERR_FILENO)
  }

  /// Writes a question to standard error, so that it is no part of the result.
  static func ask(_ question: String) {
    // Whoever does not see it does not answer.
    _ = send(question, to: STDERR_FILENO)
  }

  /// Text in a style, where standard output shows styles.
  static func styled(_ text: String, _ style: Style) -> String {
    isColored ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
  }

  /// How text is shown, by its number in ECMA-48.
  enum Style: Int {
    case bold = 1
    case dim = 2
    case red = 31
    case green = 32
    case yellow = 33
    case cyan = 36
  }

  private static func variable(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }

  private static func send(_ text: String, to descriptor: Int32) -> Bool {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes {
        unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
      }
      if count >= 0 {
        rest = rest.dropFirst(count)
      } else if errno != EINTR {
        return false
      }
    }
    return true
  }
}
