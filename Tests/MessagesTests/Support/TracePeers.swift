import Messages
import SwiftProtobufMessages

extension Peer {
  static let traces = unsafe [
    Peer(TracePair.self, Needletail_Tracing_V1_TracePair.self),
    Peer(Trace.self, Needletail_Tracing_V1_Trace.self),
    Peer(StartTraceRequest.self, Needletail_Tracing_V1_StartTraceRequest.self),
    Peer(StartTraceResponse.self, Needletail_Tracing_V1_StartTraceResponse.self),
    Peer(GetTracesRequest.self, Needletail_Tracing_V1_GetTracesRequest.self),
    Peer(GetTracesResponse.self, Needletail_Tracing_V1_GetTracesResponse.self),
    Peer(SetTraceTagsRequest.self, Needletail_Tracing_V1_SetTraceTagsRequest.self),
    Peer(SetTraceTagsResponse.self, Needletail_Tracing_V1_SetTraceTagsResponse.self),
    Peer(DeleteTracesRequest.self, Needletail_Tracing_V1_DeleteTracesRequest.self),
    Peer(DeleteTracesResponse.self, Needletail_Tracing_V1_DeleteTracesResponse.self),
    Peer(LinkTracesToRunRequest.self, Needletail_Tracing_V1_LinkTracesToRunRequest.self),
    Peer(LinkTracesToRunResponse.self, Needletail_Tracing_V1_LinkTracesToRunResponse.self),
    Peer(UnlinkTracesFromRunRequest.self, Needletail_Tracing_V1_UnlinkTracesFromRunRequest.self),
    Peer(UnlinkTracesFromRunResponse.self, Needletail_Tracing_V1_UnlinkTracesFromRunResponse.self),
    Peer(SearchTracesRequest.self, Needletail_Tracing_V1_SearchTracesRequest.self),
    Peer(SearchTracesResponse.self, Needletail_Tracing_V1_SearchTracesResponse.self),
    Peer(Span.self, Needletail_Tracing_V1_Span.self),
    Peer(TraceSpans.self, Needletail_Tracing_V1_TraceSpans.self),
    Peer(LogSpansRequest.self, Needletail_Tracing_V1_LogSpansRequest.self),
    Peer(LogSpansResponse.self, Needletail_Tracing_V1_LogSpansResponse.self),
    Peer(ListSpansRequest.self, Needletail_Tracing_V1_ListSpansRequest.self),
    Peer(TraceSpan.self, Needletail_Tracing_V1_TraceSpan.self),
    Peer(ListSpansResponse.self, Needletail_Tracing_V1_ListSpansResponse.self),
    Peer(Assessment.self, Needletail_Tracing_V1_Assessment.self),
    Peer(CreateAssessmentRequest.self, Needletail_Tracing_V1_CreateAssessmentRequest.self),
    Peer(CreateAssessmentResponse.self, Needletail_Tracing_V1_CreateAssessmentResponse.self),
    Peer(GetAssessmentRequest.self, Needletail_Tracing_V1_GetAssessmentRequest.self),
    Peer(GetAssessmentResponse.self, Needletail_Tracing_V1_GetAssessmentResponse.self),
    Peer(UpdateAssessmentRequest.self, Needletail_Tracing_V1_UpdateAssessmentRequest.self),
    Peer(UpdateAssessmentResponse.self, Needletail_Tracing_V1_UpdateAssessmentResponse.self),
    Peer(DeleteAssessmentRequest.self, Needletail_Tracing_V1_DeleteAssessmentRequest.self),
    Peer(DeleteAssessmentResponse.self, Needletail_Tracing_V1_DeleteAssessmentResponse.self),
    Peer(Issue.self, Needletail_Tracing_V1_Issue.self),
    Peer(CreateIssueRequest.self, Needletail_Tracing_V1_CreateIssueRequest.self),
    Peer(CreateIssueResponse.self, Needletail_Tracing_V1_CreateIssueResponse.self),
    Peer(GetIssueRequest.self, Needletail_Tracing_V1_GetIssueRequest.self),
    Peer(GetIssueResponse.self, Needletail_Tracing_V1_GetIssueResponse.self),
    Peer(UpdateIssueRequest.self, Needletail_Tracing_V1_UpdateIssueRequest.self),
    Peer(UpdateIssueResponse.self, Needletail_Tracing_V1_UpdateIssueResponse.self),
    Peer(SearchIssuesRequest.self, Needletail_Tracing_V1_SearchIssuesRequest.self),
    Peer(SearchIssuesResponse.self, Needletail_Tracing_V1_SearchIssuesResponse.self),
    Peer(EvaluationDataset.self, Needletail_Tracing_V1_EvaluationDataset.self),
    Peer(EvaluationRecord.self, Needletail_Tracing_V1_EvaluationRecord.self),
    Peer(
      CreateEvaluationDatasetRequest.self, Needletail_Tracing_V1_CreateEvaluationDatasetRequest.self
    ),
    Peer(
      CreateEvaluationDatasetResponse.self,
      Needletail_Tracing_V1_CreateEvaluationDatasetResponse.self),
    Peer(GetEvaluationDatasetRequest.self, Needletail_Tracing_V1_GetEvaluationDatasetRequest.self),
    Peer(
      GetEvaluationDatasetResponse.self, Needletail_Tracing_V1_GetEvaluationDatasetResponse.self),
    Peer(
      SearchEvaluationDatasetsRequest.self,
      Needletail_Tracing_V1_SearchEvaluationDatasetsRequest.self),
    Peer(
      SearchEvaluationDatasetsResponse.self,
      Needletail_Tracing_V1_SearchEvaluationDatasetsResponse.self),
    Peer(
      UpdateEvaluationDatasetRequest.self, Needletail_Tracing_V1_UpdateEvaluationDatasetRequest.self
    ),
    Peer(
      UpdateEvaluationDatasetResponse.self,
      Needletail_Tracing_V1_UpdateEvaluationDatasetResponse.self),
    Peer(
      DeleteEvaluationDatasetRequest.self, Needletail_Tracing_V1_DeleteEvaluationDatasetRequest.self
    ),
    Peer(
      DeleteEvaluationDatasetResponse.self,
      Needletail_Tracing_V1_DeleteEvaluationDatasetResponse.self),
    Peer(
      WriteEvaluationRecordsRequest.self, Needletail_Tracing_V1_WriteEvaluationRecordsRequest.self),
    Peer(
      WriteEvaluationRecordsResponse.self, Needletail_Tracing_V1_WriteEvaluationRecordsResponse.self
    ),
    Peer(
      ListEvaluationRecordsRequest.self, Needletail_Tracing_V1_ListEvaluationRecordsRequest.self),
    Peer(
      ListEvaluationRecordsResponse.self, Needletail_Tracing_V1_ListEvaluationRecordsResponse.self),
    Peer(
      DeleteEvaluationRecordsRequest.self, Needletail_Tracing_V1_DeleteEvaluationRecordsRequest.self
    ),
    Peer(
      DeleteEvaluationRecordsResponse.self,
      Needletail_Tracing_V1_DeleteEvaluationRecordsResponse.self),
    Peer(ScorerVersion.self, Needletail_Tracing_V1_ScorerVersion.self),
    Peer(RegisterScorerRequest.self, Needletail_Tracing_V1_RegisterScorerRequest.self),
    Peer(RegisterScorerResponse.self, Needletail_Tracing_V1_RegisterScorerResponse.self),
    Peer(GetScorerRequest.self, Needletail_Tracing_V1_GetScorerRequest.self),
    Peer(GetScorerResponse.self, Needletail_Tracing_V1_GetScorerResponse.self),
    Peer(ListScorersRequest.self, Needletail_Tracing_V1_ListScorersRequest.self),
    Peer(ListScorersResponse.self, Needletail_Tracing_V1_ListScorersResponse.self),
    Peer(ListScorerVersionsRequest.self, Needletail_Tracing_V1_ListScorerVersionsRequest.self),
    Peer(ListScorerVersionsResponse.self, Needletail_Tracing_V1_ListScorerVersionsResponse.self),
    Peer(DeleteScorerRequest.self, Needletail_Tracing_V1_DeleteScorerRequest.self),
    Peer(DeleteScorerResponse.self, Needletail_Tracing_V1_DeleteScorerResponse.self),
    Peer(CountTracesRequest.self, Needletail_Tracing_V1_CountTracesRequest.self),
    Peer(CountTracesResponse.self, Needletail_Tracing_V1_CountTracesResponse.self),
    Peer(MeasureTracesRequest.self, Needletail_Tracing_V1_MeasureTracesRequest.self),
    Peer(TraceMeasurement.self, Needletail_Tracing_V1_TraceMeasurement.self),
    Peer(MeasureTracesResponse.self, Needletail_Tracing_V1_MeasureTracesResponse.self),
    Peer(ListTraceSessionsRequest.self, Needletail_Tracing_V1_ListTraceSessionsRequest.self),
    Peer(TraceSession.self, Needletail_Tracing_V1_TraceSession.self),
    Peer(ListTraceSessionsResponse.self, Needletail_Tracing_V1_ListTraceSessionsResponse.self),
  ]
}
