/// What an installation's operator says about new organizations.
public struct OrganizationSettings: Sendable, Equatable {
  /// Who may make them.
  public enum Creation: String, Sendable, CaseIterable {
    /// Those who run the platform.
    case platformAdmins = "platform-admins"
    /// Every person with a key that permits it.
    case everybody
  }

  /// What they may have.
  public enum Plan: String, Sendable, CaseIterable {
    /// One member and two models.
    case starter
    /// 25 members and 100 models.
    case professional
    /// No bound.
    case enterprise
  }

  /// Who may make them; default: those who run the platform.
  public var creation = Creation.platformAdmins
  /// What they may have; default: no bound.
  public var plan = Plan.enterprise

  /// Makes settings with the defaults.
  public init() {}
}
