internal import Messages
public import RPC

/// `needletail.registry.v1.Registry`: models, their versions, stages and aliases,
/// and webhooks.
///
/// The method table is generated from the .proto; a method's handler is in the file of its
/// resource.
public struct RegistryService: RegistryHandlers {
  /// Makes the service.
  public init() {}

  /// What the refusals of this service's tables and statements mean.
  ///
  /// What PERMISSION_MISSING means, the first service with statements that refuse it says.
  public static var reasons: ReasonTable {
    var table = ReasonTable([
      "MODEL_PROJECT_NOT_FOUND": projectNotFound,
      "MODEL_LIMIT_REACHED": .init(
        RegistryErrorReason.planLimitReached,
        "The organization has as many models as its plan allows: delete one, or ask for more."),
    ])
    table.merge(ReasonTable(constraints: RegistryConstraints.reasons, meanings: meanings))
    return table
  }

  private static let projectNotFound = ReasonTable.Entry(
    RegistryErrorReason.projectNotFound, "There is no such project in your organization.")

  /// By the name that constraints are mapped to.
  private static var meanings: [String: ReasonTable.Entry] {
    [
      "PROJECT_NOT_FOUND": projectNotFound,
      "MODEL_NOT_FOUND": .init(
        RegistryErrorReason.modelNotFound, "There is no such model in your organization."),
      "MODEL_NAME_TAKEN": .init(
        RegistryErrorReason.modelNameTaken,
        "Another model of the project has this name; choose another, or use that one."),
      "MODEL_VERSION_NOT_FOUND": .init(
        RegistryErrorReason.modelVersionNotFound,
        "There is no such version of a model in your organization."),
      "MODEL_VERSION_TAKEN": .init(
        RegistryErrorReason.modelVersionTaken,
        "Another version of the model has this semantic version, which tells them apart but for "
          + "what follows a +; choose a higher one."),
    ]
  }
}

/// With which reasons searches are refused.
let searchReasons = SearchReasons(
  filterInvalid: RegistryErrorReason.filterInvalid,
  orderInvalid: RegistryErrorReason.orderInvalid,
  timedOut: RegistryErrorReason.searchTimedOut)
