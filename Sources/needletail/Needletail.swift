internal import ArgumentParser

@main
struct Needletail: AsyncParsableCommand {
  static let configuration = CommandConfiguration(subcommands: [ServeCommand.self, SettingsCommand.self])
}
