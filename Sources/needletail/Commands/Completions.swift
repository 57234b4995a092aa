internal import ArgumentParser

/// The command `needletail completions`.
struct Completions: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a completion script for a shell.",
    discussion: """
      For instance: needletail completions bash \
      > ~/.local/share/bash-completion/completions/needletail
      """)

  /// The shells that there are scripts for.
  enum Shell: String, ExpressibleByArgument, CaseIterable {
    case bash
    case zsh
    case fish
  }

  @Argument(help: "bash, zsh or fish.")
  var shell: Shell

  func run() throws {
    let shell: CompletionShell =
      switch shell {
      case .bash: .bash
      case .zsh: .zsh
      case .fish: .fish
      }
    Console.line(Needletail.completionScript(for: shell))
  }
}
