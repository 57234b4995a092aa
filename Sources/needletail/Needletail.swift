internal import ArgumentParser
internal import Glibc

/// The command line of Needletail: server and client.
@main
struct Needletail: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "needletail",
    abstract: "The control plane of a machine-learning team.",
    discussion: """
      Commands that ask a server find it by their options, then by NEEDLETAIL_URL, \
      NEEDLETAIL_API_KEY and NEEDLETAIL_CA_FILE, then by one stored place: the connection file \
      NEEDLETAIL_CONNECTION_FILE, the profile NEEDLETAIL_PROFILE, the current profile (see \
      `needletail login`), or what Scripts/run of this folder's project left.

      Exit codes: 0 done, 1 other failure, 2 wrong command line or setting, 3 not permitted, \
      4 not found, 5 conflict, 6 server unavailable, 7 invalid request.
      """,
    version: "needletail 0.1.0",
    subcommands: [],
    groupedSubcommands: [
      CommandGroup(
        name: "Server",
        subcommands: [
          UpCommand.self, ServeCommand.self, MigrateCommand.self, MaintenanceCommand.self,
          SettingsCommand.self,
        ]),
      CommandGroup(
        name: "Client",
        subcommands: [
          LoginCommand.self, Logout.self, ProfilesCommand.self, WhoAmI.self, Projects.self,
          Runs.self, Logs.self, Experiments.self, Models.self, Traces.self, ArtifactsCommand.self,
          Import.self, Orgs.self, LoggedModelsCommand.self, Members.self, Accept.self, Users.self,
          ServiceAccounts.self, KeysCommand.self, Permissions.self, AccessCommand.self, Audit.self,
          Call.self,
          Describe.self, Ping.self,
        ]),
      CommandGroup(name: "Tools", subcommands: [Seed.self, Load.self, Completions.self]),
    ])

  static func main() async {
    do {
      try refuseWrongFields(CommandLine.arguments)
      var command = try parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
      // What the standard library's `print` has kept back.
      if fflush(nil) != 0 { Console.endUnwritten(errno) }
      leave(.ok)
    } catch let failure as CommandFailure {
      // The command has said why.
      leave(failure.status)
    } catch {
      end(error)
    }
  }

  /// Refuses `--json=TEXT` where the text is no list of fields; the parser would take it as if only
  /// `--json` stood there.
  static func refuseWrongFields(_ arguments: [String]) throws {
    let option = "--json="
    for argument in arguments.prefix(while: { $0 != "--" }) where argument.hasPrefix(option) {
      guard FieldList(argument: String(argument.dropFirst(option.count))) == nil else { continue }
      throw ValidationError("\(argument) names no fields: write --json=id,name.")
    }
  }

  /// Ends the process for what the parser said: a wrong command line, or a request for help.
  private static func end(_ error: any Error) -> Never {
    let text = fullMessage(for: error)
    let code = exitCode(for: error)
    if code == .success {
      Console.line(text)
    } else if !text.isEmpty {
      Console.complain(text)
    }
    switch code {
    case .success: leave(.ok)
    case .validationFailure: leave(.usage)
    default: leave(.other)
    }
  }

  /// Ends the process without taking down what its other threads still use.
  ///
  /// They run on until the very end, and `exit` would free the libraries' state beneath them.
  static func leave(_ status: ExitStatus) -> Never {
    fflush(nil)
    _exit(status.rawValue)
  }
}
