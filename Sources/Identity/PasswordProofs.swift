internal import Messages
internal import RPC

extension IdentityService {
  /// Whether a password is that of who is named by `email`; for nobody it takes as long to say no.
  ///
  /// Every password that comes with an invitation's token or an organization's slug is compared
  /// here and nowhere else.
  func provePassword(
    _ password: String, _ stored: String?, of email: String, _ call: CallContext
  ) async throws(CallError) -> Bool {
    try await passwords.matches(password, stored)
  }
}

extension Validator {
  /// Checks a password that is tried.
  mutating func triedPassword(_ field: String, _ password: String) {
    if password.isEmpty || password.utf8.count > Passwords.triedBytesMax {
      refuse(field, "must be 1 to \(Passwords.triedBytesMax) bytes")
    }
  }
}

/// What those hear who are not who they say, and those who are nobody.
func credentialsInvalid() -> CallError {
  CallError(
    IdentityErrorReason.credentialsInvalid,
    "The password is wrong, or this is not somebody who may do that.")
}
