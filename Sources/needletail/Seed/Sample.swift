internal import Client
internal import Messages
internal import TLS

/// Somebody of the sample organization.
struct SamplePerson {
  let email: String
  let name: String
  let role: OrganizationRole
  /// Made here, shown once.
  var password = ""
  /// Empty until they have joined.
  var userID = ""
  /// Of who has an account already, whose password is not known here: what they accept with.
  var token = ""

  var hasJoined: Bool { !userID.isEmpty }
}

/// The sample organization of the design documents, made as its own people would make it.
struct Sample {
  static let name = "Acme ML Corp"
  static let slug = "acme-ml-corp"
  static let people = [
    SamplePerson(email: "admin@acme-ml.com", name: "Acme Administrator", role: .admin),
    SamplePerson(email: "scientist@acme-ml.com", name: "Data Scientist", role: .developer),
    SamplePerson(email: "engineer@acme-ml.com", name: "ML Engineer", role: .developer),
  ]
  private static let passwordCharacters = 24

  private let endpoint: Endpoint
  private let options: CallOptions
  private let identity: IdentityClient
  private let tracking: TrackingClient

  init(_ connection: Connection, _ endpoint: Endpoint, _ options: CallOptions) {
    self.endpoint = endpoint
    self.options = options
    identity = IdentityClient(connection)
    tracking = TrackingClient(connection)
  }

  // MARK: People

  /// Invites everybody and accepts for them, each with a password of their own.
  func bringPeople() async throws(ClientError) -> [SamplePerson] {
    var guest = endpoint
    guest.apiKey = ""
    let connection = try Connection(to: guest)
    let arriving = IdentityClient(connection)
    var people: [SamplePerson] = []
    for person in Sample.people { people.append(try await bring(person, arriving)) }
    await connection.close()
    return people
  }

  private func bring(
    _ person: SamplePerson, _ arriving: IdentityClient
  ) async throws(ClientError) -> SamplePerson {
    var person = person
    let invited = try await identity.inviteMember(
      InviteMemberRequest(email: person.email, role: person.role, expiresInSeconds: 0),
      options: options)
    let password = Sample.randomPassword()
    do throws(ClientError) {
      let accepted = try await arriving.acceptInvitation(
        AcceptInvitationRequest(
          token: invited.token, password: password, displayName: person.name),
        options: options)
      person.userID = accepted.member?.user?.id ?? ""
      person.password = password
    } catch {
      // They had an account before this: of an earlier sample, or of their own.
      guard error.reason == "CREDENTIALS_INVALID" else { throw error }
      person.token = invited.token
    }
    return person
  }

  private static func randomPassword() -> String {
    let characters = Array("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789")
    var password = ""
    while password.utf8.count < passwordCharacters {
      // A byte beyond the greatest multiple would make some characters likelier than others.
      for byte in randomBytes(count: 32) where Int(byte) < 256 / characters.count * characters.count
      {
        password.append(characters[Int(byte) % characters.count])
        if password.utf8.count == passwordCharacters { break }
      }
    }
    return password
  }

  // MARK: Projects

  /// Makes the projects with their experiments, and lets everybody work in them.
  func makeProjects(_ people: [SamplePerson]) async throws(ClientError) {
    for plan in SampleProject.all {
      var request = CreateProjectRequest()
      request.name = plan.name
      request.description = plan.description
      request.visibility = .organization
      let project = try await identity.createProject(request, options: options).project?.id ?? ""
      for person in people where person.hasJoined && person.role != .admin {
        _ = try await identity.setProjectMember(
          SetProjectMemberRequest(projectID: project, userID: person.userID, role: .contributor),
          options: options)
      }
      for experiment in plan.experiments { try await make(experiment, in: project) }
    }
  }

  private func make(_ plan: SampleExperiment, in project: String) async throws(ClientError) {
    var request = CreateExperimentRequest()
    request.projectID = project
    request.name = plan.name
    request.description = plan.description
    request.configJSON = plan.configJSON
    let experiment =
      try await tracking.createExperiment(request, options: options).experiment?.id ?? ""
    var batch = AppendMetricsRequest()
    var ended: [(run: String, status: RunStatus)] = []
    for run in plan.runs {
      var request = CreateRunRequest()
      request.experimentID = experiment
      request.name = run.name
      let id = try await tracking.createRun(request, options: options).run?.id ?? ""
      batch.runs.append(RunMetrics(runID: id, series: run.series, epoch: 0, fromStep: nil))
      if let status = run.end { ended.append((id, status)) }
    }
    try await log(batch)
    for (run, status) in ended {
      _ = try await tracking.finishRun(
        FinishRunRequest(id: run, status: status, completedAt: nil), options: options)
    }
  }

  /// Stores the points of an experiment's runs in one batch.
  private func log(_ batch: AppendMetricsRequest) async throws(ClientError) {
    var batch = batch
    batch.writerID = Sample.randomUUID()
    batch.sequence = 1
    let stream = try await tracking.appendMetrics(options: options)
    try await stream.send(batch)
    try await stream.finishSending()
    while let answer = try await stream.next() {
      if answer.acknowledgedSequence >= batch.sequence { return }
    }
  }

  /// A random UUID (version 4).
  static func randomUUID() -> String {
    var bytes = randomBytes(count: 16)
    bytes[6] = bytes[6] & 0x0F | 0x40
    bytes[8] = bytes[8] & 0x3F | 0x80
    let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
    return [digits[..<4], digits[4..<6], digits[6..<8], digits[8..<10], digits[10...]]
      .map { $0.joined() }.joined(separator: "-")
  }
}
