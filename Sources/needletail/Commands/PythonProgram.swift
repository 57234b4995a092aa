internal import Client
internal import Glibc
internal import TLS

/// A part of the command line that is written in Python: this process becomes it.
struct PythonProgram {
  /// A path or a name; nil = NEEDLETAIL_PYTHON, else python3.
  let python: String?
  /// The module with its `main`.
  let module: String
  /// What is to be installed where the module is missing.
  let package: String
  /// What it calls itself in its help and its messages.
  let name: String

  /// Ends this process's own work, and goes on as the program.
  ///
  /// The connection goes into the environment, and what it holds in PEM into files that have no
  /// name: no secret is among the arguments, which everybody on the machine can read.
  ///
  /// - Throws: ``CommandFailure`` where there is no such Python.
  func become(_ arguments: [String], with endpoint: Endpoint) throws(CommandFailure) -> Never {
    let program = python ?? variable("NEEDLETAIL_PYTHON") ?? "python3"
    set("NEEDLETAIL_URL", "needletail://\(endpoint.address)")
    set("NEEDLETAIL_API_KEY", endpoint.apiKey)
    set("NEEDLETAIL_IMPORT_NAME", name)
    // These have been read; what they say is in the endpoint.
    unsafe unsetenv("NEEDLETAIL_CONNECTION_FILE")
    unsafe unsetenv("NEEDLETAIL_PROFILE")
    if case .authority(let pem) = endpoint.trust {
      set("NEEDLETAIL_CA_FILE", try lend(pem))
    }
    if let identity = endpoint.identity {
      set("NEEDLETAIL_CERTIFICATE_FILE", try lend(identity.certificateChainPEM))
      set("NEEDLETAIL_KEY_FILE", try lend(identity.privateKeyPEM))
    }
    execute([program, "-c", start] + arguments)
    throw CommandFailure(
      .usage, reason: "PYTHON_MISSING",
      "\(program) cannot be started: \(unsafe String(cString: strerror(errno))). Install Python "
        + "3.10 or newer and `pip install \(package)`, or name the Python that has it: --python, "
        + "or NEEDLETAIL_PYTHON.")
  }

  /// What Python runs first: it says what to install where something is missing.
  private var start: String {
    """
    import sys
    # What lies in the current folder is no part of the program.
    sys.path[:] = [one for one in sys.path if one]
    try:
        from \(module) import main
    except ModuleNotFoundError as error:
        text = f"error: {sys.executable} has no {error.name}: run `{sys.executable} -m pip install \
    \(package)`, or name another Python: --python, or NEEDLETAIL_PYTHON."
        print(text, file=sys.stderr)
        sys.exit(\(ExitStatus.usage.rawValue))
    sys.exit(main())
    """
  }

  /// Becomes a program; returns only where that is not possible, with `errno`.
  private func execute(_ arguments: [String]) {
    guard let program = arguments.first else { return }
    var copies = unsafe arguments.map { unsafe strdup($0) } + [nil]
    unsafe execvp(program, &copies)
    let code = errno
    unsafe copies.forEach { unsafe free($0) }
    errno = code
  }

  /// The path of a file that has these bytes, no name, and nobody else's eyes on it.
  private func lend(_ bytes: [UInt8]) throws(CommandFailure) -> String {
    let folder = variable("TMPDIR") ?? "/tmp"
    var path = Array("\(folder)/needletail-XXXXXX".utf8CString)
    let descriptor = unsafe mkstemp(&path)
    let isWritten = unsafe bytes.withUnsafeBytes { bytes in
      unsafe descriptor >= 0 && write(descriptor, bytes.baseAddress, bytes.count) == bytes.count
    }
    let code = errno
    if descriptor >= 0 { unsafe unlink(path) }
    guard isWritten else {
      throw CommandFailure(
        .other, reason: "FILE_UNUSABLE",
        "No file can be written in \(folder): \(unsafe String(cString: strerror(code))).")
    }
    return "/proc/self/fd/\(descriptor)"
  }

  private func variable(_ name: String) -> String? {
    let text = unsafe getenv(name).map { unsafe String(cString: $0) }
    return text.flatMap { $0.isEmpty ? nil : $0 }
  }

  private func set(_ name: String, _ value: String) { unsafe setenv(name, value, 1) }
}
