internal import Glibc

/// Questions to the person at the terminal.
enum Terminal {
  /// The longest answer, in bytes.
  static let answerBytesMax = 4_096

  /// Whether there is somebody to ask: both the question and the answer go through a terminal.
  static var isInteractive: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 }

  /// Asks, and gives the line that is typed; nil at the end of the input.
  static func ask(_ question: String) -> String? {
    Console.ask(question)
    var bytes: [UInt8] = []
    while let byte = readByte(), byte != 0x0A {
      if bytes.count < answerBytesMax { bytes.append(byte) }
      if bytes.count == answerBytesMax { break }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Asks for what nobody should see; nil when the person gives up with Control-C or Control-D.
  static func askHidden(_ question: String) -> String? {
    var before = termios()
    guard unsafe tcgetattr(STDIN_FILENO, &before) == 0 else { return ask(question) }
    var hidden = before
    // Keys come one by one, and Control-C as one of them: nothing ends the process while the
    // terminal shows nothing.
    hidden.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
    guard unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) == 0 else { return nil }
    defer {
      // Nothing better can be done about a terminal that refuses.
      _ = unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &before)
      Console.ask("\n")
    }
    Console.ask(question)
    var line = TypedLine()
    while let byte = readByte() {
      switch line.take(byte) {
      case .more: continue
      case .done(let text): return text
      case .givenUp: return nil
      }
    }
    return nil
  }

  private static func readByte() -> UInt8? {
    var byte: UInt8 = 0
    while true {
      let count = unsafe read(STDIN_FILENO, &byte, 1)
      if count == 1 { return byte }
      guard count < 0, errno == EINTR else { return nil }
    }
  }
}

/// A line that is typed key by key, as a terminal would edit it.
struct TypedLine {
  /// What a key leads to.
  enum Outcome: Equatable {
    case more
    case done(String)
    case givenUp
  }

  private var bytes: [UInt8] = []

  mutating func take(_ byte: UInt8) -> Outcome {
    switch byte {
    case 0x0A, 0x0D: return .done(String(decoding: bytes, as: UTF8.self))
    case 0x03: return .givenUp
    case 0x04 where bytes.isEmpty: return .givenUp
    case 0x04: return .done(String(decoding: bytes, as: UTF8.self))
    case 0x08, 0x7F: _ = bytes.popLast()
    case 0x15: bytes = []
    default: if bytes.count < Terminal.answerBytesMax { bytes.append(byte) }
    }
    return .more
  }
}
