internal import EventLoop
internal import Glibc

/// Asks for secrets: at a terminal without showing them, else a line of standard input each.
///
/// They are never arguments, which every user of the machine can read.
struct SecretInput {
  private let input: StandardInput

  init() throws {
    do throws(SystemError) {
      input = try StandardInput()
    } catch {
      throw CommandFailure(
        .other, reason: "INPUT_UNREADABLE", "Standard input cannot be read: \(error).")
    }
  }

  /// Asks for one, called `name`; it must not be empty.
  func read(_ name: String) async throws -> String {
    let isTerminal = isatty(STDIN_FILENO) == 1
    let terminal = isTerminal ? QuietTerminal() : nil
    if isTerminal { Console.prompt("\(name): ") }
    let line = await input.line()
    if terminal != nil { Console.complain("") }
    terminal?.restore()
    let text = String(decoding: line ?? [], as: UTF8.self).filter { $0 != "\r" }
    guard !text.isEmpty else {
      throw CommandFailure(
        .usage, reason: "INPUT_MISSING", "The \(name.lowercased()) is read from standard input.")
    }
    return text
  }
}

/// The terminal while it does not show what is typed.
private struct QuietTerminal {
  private var before = termios()

  /// Makes it quiet; nil where it cannot be.
  init?() {
    guard unsafe tcgetattr(STDIN_FILENO, &before) == 0 else { return nil }
    var quiet = before
    quiet.c_lflag &= ~tcflag_t(ECHO)
    guard unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0 else { return nil }
  }

  /// Makes it as it was.
  func restore() {
    var before = before
    _ = unsafe tcsetattr(STDIN_FILENO, TCSANOW, &before)
  }
}
