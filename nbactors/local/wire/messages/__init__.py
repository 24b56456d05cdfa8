"""Every message of the local engine, with types. No input or output here.

Three conversations share one format of frames (`framing.py`):

- *control*: between a client (session, worker, command line) and the node. Messages are small and bounded, and hold no
  user value: the node stores and passes on the opaque fields (`meta`, `text`) without reading them.
- *fork*: between the node and its forkservers.
- *peer*: between two sessions or workers. Messages carry pickled user values, so a process reads them only from
  processes of the same user.

A frame holds a msgpack array of messages, so that one call encodes or decodes a burst of them. The structs are tagged
arrays: a message takes the bytes of its fields and a few more. Change `PROTOCOL_VERSION` whenever a field changes.
"""

from nbactors.local.wire.messages.control import (
    ActorConstructed,
    ActorDown,
    ActorNamed,
    ActorRestarting,
    ActorRow,
    ActorUp,
    AddHold,
    Assign,
    Blocked,
    CancelLease,
    CatchUp,
    CloseSession,
    CreateActor,
    Done,
    Ending,
    Environment,
    FetchLog,
    GetActor,
    Grouped,
    Home,
    KillActor,
    LeaseGranted,
    LeaseLost,
    Listing,
    OpenSession,
    Output,
    OutputPipes,
    PipesLost,
    ProcessGone,
    ProcessRow,
    Query,
    Refused,
    ReleaseHold,
    ReplaceMeta,
    RequestLease,
    ReturnLease,
    SessionOpened,
    SetTitle,
    Spent,
    Stop,
    Terminate,
    Unblocked,
    Warn,
    Watch,
    Welcome,
)
from nbactors.local.wire.messages.conversation import Control
from nbactors.local.wire.messages.fork import NO_RUNTIME_ENV, Exited, Fork, Forked, ForkMessage, NotPreloaded, SpareMade
from nbactors.local.wire.messages.groups import (
    MAX_BUNDLES,
    AwaitGroup,
    CreateGroup,
    GroupRow,
    GroupState,
    RemoveGroup,
    Seat,
)
from nbactors.local.wire.messages.inspection import AskInspection, CallNow, GroupNow, Inspection
from nbactors.local.wire.messages.looking import Look, Looked
from nbactors.local.wire.messages.message import PROTOCOL_VERSION, Hello, ListenAgain, Message, RuntimeEnv
from nbactors.local.wire.messages.metric_reports import MAX_POINTS, MetricPoint, Metrics
from nbactors.local.wire.messages.peer import (
    AddBorrow,
    Arena,
    AskArena,
    AskNext,
    AskObjects,
    AskProfile,
    AskStack,
    Attach,
    Call,
    Cancel,
    CancelCall,
    Canceled,
    CancelJobs,
    CancelObject,
    Construct,
    Consumed,
    Define,
    Fetch,
    Fetched,
    ForgetArena,
    GivenBack,
    Next,
    ObjectRow,
    Objects,
    Peer,
    Profile,
    PutBack,
    ReleaseBorrow,
    ReleaseSegment,
    Reply,
    Results,
    Run,
    Segment,
    StackText,
    StopStream,
    Undefine,
    Value,
    Yielded,
)
from nbactors.local.wire.messages.returning import Created, Leased, NodeStopped, Rejoin, Restored
from nbactors.local.wire.messages.room import DEFAULT_SHARE, KEEP_ALL, AskRoom, AskUse, Room, StoreRow, StoreUse
from nbactors.local.wire.messages.selectors import Labels, LabelTerm, Selectors, selectors
from nbactors.local.wire.messages.shown import Bar, Display, Paused
from nbactors.local.wire.messages.task_events import (
    MAX_ERROR_TEXT,
    ActorMoment,
    ActorTotals,
    DriverWaits,
    Follow,
    TaskNews,
    TaskReport,
    TaskRow,
    Wait,
)
