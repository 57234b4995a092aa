public import Messages

extension CallContext {
  /// Counts a password that was wrong, or was nobody's.
  public func countWrongPassword() { metrics.passwordsWrong &+= 1 }

  /// Counts a password that was not looked at, because too many were wrong before.
  public func countThrottledPassword() { metrics.passwordsThrottled &+= 1 }

  /// Leaves in the audit log of a known person's organization that somebody was refused who said
  /// to be them.
  ///
  /// Attempts of a minute are one entry.
  public func noteRefusal(
    _ reason: some ErrorReason, of principal: Principal, action: String
  ) {
    audit.refusals.note(self, reason.name, of: principal, action: action)
  }
}
