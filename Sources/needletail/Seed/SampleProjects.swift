internal import Messages

/// A project of the sample organization.
struct SampleProject {
  let name: String
  let description: String
  let experiments: [SampleExperiment]

  static let all = [
    SampleProject(
      name: "Fraud Detection",
      description: "Finds fraudulent card payments: a classifier made with XGBoost.",
      experiments: [
        SampleExperiment(
          name: "Depth of trees", description: "How deep trees may be before they learn by heart.",
          configJSON: #"{"framework": "xgboost", "objective": "binary:logistic", "eta": 0.1}"#,
          runs: [
            SampleRun(name: "depth-4", end: .completed, metric: "auc", from: 0.71, to: 0.931),
            SampleRun(name: "depth-8", end: .completed, metric: "auc", from: 0.74, to: 0.957),
            SampleRun(name: "depth-16", end: .failed, metric: "auc", from: 0.75, to: 0.88),
          ])
      ]),
    SampleProject(
      name: "Product Recommendations",
      description: "What goes with a cart: collaborative filtering with TensorFlow.",
      experiments: [
        SampleExperiment(
          name: "Number of factors", description: "How many factors describe a product.",
          configJSON: #"{"framework": "tensorflow", "model": "matrix_factorization"}"#,
          runs: [
            SampleRun(
              name: "factors-32", end: .completed, metric: "recall_at_10", from: 0.04, to: 0.212),
            SampleRun(
              name: "factors-128", end: nil, metric: "recall_at_10", from: 0.05, to: 0.247),
          ])
      ]),
  ]
}

/// An experiment of it.
struct SampleExperiment {
  let name: String
  let description: String
  let configJSON: String
  let runs: [SampleRun]
}

/// A run: its quality rises, its loss falls, both more slowly with time.
struct SampleRun {
  private static let steps: Int64 = 50

  let name: String
  /// How it ended; nil = it goes on.
  let end: RunStatus?
  let metric: String
  let from: Double
  let to: Double

  /// Its curves.
  var series: [MetricSeries] {
    let steps = Array(1...SampleRun.steps)
    // What is left of the way, halved every ten steps or so, with a wave that is not chance.
    let rest = steps.map { step in 12.0 / Double(step + 11) * (1 + 0.05 * Double(step % 3 - 1)) }
    return [
      curve(metric, steps, rest.map { to - (to - from) * $0 }),
      curve("loss", steps, rest.map { 0.08 + 0.62 * $0 }),
    ]
  }

  private func curve(_ key: String, _ steps: [Int64], _ values: [Double]) -> MetricSeries {
    var series = MetricSeries()
    series.key = key
    series.steps = steps
    series.values = values
    return series
  }
}
