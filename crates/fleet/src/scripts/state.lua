-- Any operation on clients of one limiter, by any limits: all of them are charged or none.
--
-- KEYS  the clients, each once
-- ARGV  deadline (us of this clock, 0 for none), operation, time to live (ms), number of limits, then for each limit:
--         1, emission interval (ticks), capacity (ticks), ticks per us     GCRA
--         2, limit, length (us), 0                                         fixed window
--         3, limit, length (us), unit of time (us)                         sliding window
--       then for each client two numbers, of lease more:
--         take: calls, cost of each     penalize, refund: 0, units     block: 0, duration (us)     peek, reset: 0, 0
--         lease: calls, cost of each, units to hold beside, and of several limits for each the units it has to spare: of
--         those beside, so many fewer are charged to it
--         undo, of one client: when it was charged (us), units, then for each limit when it settles (us)
--         giveback, of one client: when units were granted (us), then for each limit units, and what the key was left at:
--         the debt, the end of the fixed window (us), the number of the sliding window
-- Value doubles: when it was written (us), what was left of a block then (us), then for each limit
--         GCRA: debt (ticks)     fixed window: count, left (us)     sliding window: previous, current
-- Reply this clock, then for each client: the outcome, what is left of its block (us), and the doubles of its limits before
--       the operation; of lease also the units beside, half of what the calls leave at most and what is spare; of giveback
--       those that each limit has taken. The outcome is the number of calls granted, of giveback the most units, of reset 1
--       where there was state, -1 where the key holds something else. The clock alone after the deadline, and nothing was
--       changed.
local call, pack, unpk = redis.call, struct.pack, struct.unpack
local ceil, floor, min, max = math.ceil, math.floor, math.min, math.max
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local deadline = ARGV[1] + 0
if deadline > 0 and now > deadline then return {now} end
local operation, ttl, limits = ARGV[2], ARGV[3] + 0, ARGV[4] + 0
local kind, first, second, third, place = {}, {}, {}, {}, {}
local words = 0
for l = 1, limits do
  kind[l], first[l] = ARGV[4 * l + 1] + 0, ARGV[4 * l + 2] + 0
  second[l], third[l] = ARGV[4 * l + 3] + 0, ARGV[4 * l + 4] + 0
  place[l] = words + 1
  words = words + (kind[l] == 1 and 1 or 2)
end
local format, size = '<dd' .. string.rep('d', words), 16 + 8 * words
local given, width = 4 + 4 * limits, 2
if operation == 'lease' then width = limits > 1 and 3 + limits or 3 end

-- The share of a sliding window that is still to come, in units of its time.
local function rest(l)
  local window = floor(second[l] / third[l])
  return window - min(window, floor(now % second[l] / third[l])), window
end

-- Brings the state of a limit from `at` to now.
local function advance(l, w, at, elapsed)
  local p = place[l]
  if kind[l] == 1 then
    w[p] = min(max(w[p] - elapsed * third[l], 0), second[l])
  elseif kind[l] == 2 then
    w[p + 1] = min(w[p + 1], second[l]) - elapsed
    if w[p] <= 0 or w[p + 1] <= 0 then w[p], w[p + 1] = 0, 0 end
  else
    local windows = floor(now / second[l]) - floor(at / second[l])
    if windows == 1 then w[p], w[p + 1] = w[p + 1], 0 elseif windows > 1 then w[p], w[p + 1] = 0, 0 end
  end
end

-- Units that a limit would admit.
local function room(l, w)
  local p = place[l]
  if kind[l] == 1 then return floor((second[l] - w[p]) / first[l]) end
  if kind[l] == 2 then return max(first[l] - w[p], 0) end
  local ahead, window = rest(l)
  local product = w[p] * ahead
  local weighted = floor(product / window)
  if weighted * window < product then weighted = weighted + 1 end
  return max(first[l] - w[p + 1] - weighted, 0)
end

-- Charges units, which may exceed the room only for GCRA and fixed windows: those stop at an empty quota.
local function charge(l, w, units)
  local p = place[l]
  if kind[l] == 1 then
    w[p] = max(w[p], min(second[l], w[p] + units * first[l]))
  elseif kind[l] == 2 then
    if w[p] == 0 then w[p + 1] = second[l] end
    w[p] = max(w[p], min(first[l], w[p] + units))
  else
    w[p + 1] = w[p + 1] + units
  end
end

local function refund(l, w, units)
  local p = place[l]
  if kind[l] == 1 then
    w[p] = max(0, w[p] - min(units * first[l], second[l]))
  elseif kind[l] == 2 then
    w[p] = max(0, min(w[p], first[l]) - units)
    if w[p] == 0 then w[p + 1] = 0 end
  else
    local left = max(0, units - w[p + 1])
    w[p], w[p + 1] = max(0, w[p] - left), max(0, w[p + 1] - units)
  end
end

-- Takes a charge back. What time or a new window has returned since is not returned twice.
local function undo(l, w, charged, units, settles)
  local p = place[l]
  if kind[l] == 1 then
    w[p] = max(0, w[p] - max(0, min(units * first[l], (settles - now) * third[l])))
  elseif kind[l] == 2 then
    if now < settles then w[p] = max(0, w[p] - units) end
    if w[p] == 0 then w[p + 1] = 0 end
  else
    local windows = floor(now / second[l]) - floor(charged / second[l])
    if windows == 0 then w[p + 1] = max(0, w[p + 1] - units) end
    if windows == 1 then w[p] = max(0, w[p] - units) end
  end
end

-- Units that go back: those of the last grant as long as it is the last, those of a window as long as it runs.
local function returned(l, w, stored, at, units, state)
  local p = place[l]
  if kind[l] == 1 then
    if stored[1] ~= at or stored[2 + p] ~= state then return 0 end
    return min(units, floor(w[p] / first[l]))
  end
  if kind[l] == 2 then return (stored[1] + stored[3 + p] == state) and min(units, w[p]) or 0 end
  return floor(now / second[l]) == state and min(units, w[p + 1]) or 0
end

-- Units that are held of a limit beyond those of the others.
local function spare(l, given)
  return limits > 1 and ARGV[given + 3 + l] + 0 or 0
end

local reply = {now}
for i = 1, #KEYS do
  local key, given = KEYS[i], given + width * (i - 1)
  local one, two = ARGV[given + 1] + 0, ARGV[given + 2] + 0
  local value = redis.pcall('GET', key)
  local outcome, beside, block, w, before, stored, back = -1, 0, 0, {}, {}, {}, {}
  if type(value) ~= 'table' and not (value and #value ~= size) then
    local at = now
    outcome = 1
    if value then
      stored = {unpk(format, value)}
      at, block = stored[1], stored[2]
      for p = 1, words do w[p] = stored[2 + p] end
    else
      for p = 1, words do w[p] = 0 end
    end
    local elapsed = max(0, now - at)
    block = max(0, block - elapsed)
    local live, written, block_then = block > 0, now, nil
    for l = 1, limits do advance(l, w, at, elapsed) end
    for p = 1, words do
      before[p] = w[p]
      live = live or w[p] > 0
    end
    -- Where the clock was set back, what is owed drains from now on.
    local write = at > now
    if operation == 'take' then
      outcome = 0
      if block == 0 then
        outcome = one
        for l = 1, limits do outcome = min(outcome, floor(room(l, w) / two)) end
      end
      if outcome > 0 then
        for l = 1, limits do charge(l, w, outcome * two) end
        write = true
      end
    elseif operation == 'lease' then
      outcome = 0
      if block == 0 then
        local rooms = {}
        outcome, beside = one, ARGV[given + 3] + 0
        for l = 1, limits do
          rooms[l] = room(l, w)
          outcome = min(outcome, floor(rooms[l] / two))
        end
        for l = 1, limits do
          beside = min(beside, floor((rooms[l] - outcome * two) / 2) + spare(l, given))
        end
      end
      if outcome + beside > 0 then
        for l = 1, limits do charge(l, w, outcome * two + max(0, beside - spare(l, given))) end
        write = true
      end
    elseif operation == 'giveback' then
      outcome = 0
      local of_rows = 0
      for l = 1, limits do
        local units, state = ARGV[given + 2 * l] + 0, ARGV[given + 2 * l + 1] + 0
        back[l] = value and returned(l, w, stored, one, units, state) or 0
        outcome = max(outcome, back[l])
        if kind[l] == 1 then of_rows = of_rows + back[l] end
      end
      if outcome > 0 then
        write = true
        -- Rows of slots are known by their time: where windows alone take units, it stays.
        if of_rows == 0 and at <= now then
          written, block_then = at, stored[2]
          for p = 1, words do w[p] = stored[2 + p] end
        end
        for l = 1, limits do
          local p = place[l] + (kind[l] == 3 and 1 or 0)
          w[p] = w[p] - back[l] * (kind[l] == 1 and first[l] or 1)
        end
      end
    elseif operation == 'penalize' then
      for l = 1, limits do charge(l, w, kind[l] == 3 and min(two, room(l, w)) or two) end
      write = true
    elseif operation == 'refund' then
      for l = 1, limits do refund(l, w, two) end
      write = value and true
    elseif operation == 'undo' then
      for l = 1, limits do undo(l, w, one, two, ARGV[given + 2 + l] + 0) end
      write = value and true
    elseif operation == 'block' then
      block = max(block, two)
      write = true
    elseif operation == 'reset' then
      outcome = live and 1 or 0
      write = false
      if value then call('DEL', key) end
    end
    if write then
      local life = max(ttl, ceil(block / 1000) + 1)
      call('SET', key, pack(format, written, block_then or block, unpack(w)), 'PX', life)
    end
  end
  reply[#reply + 1] = outcome
  reply[#reply + 1] = block
  for p = 1, words do reply[#reply + 1] = before[p] or 0 end
  if operation == 'lease' then reply[#reply + 1] = beside end
  if operation == 'giveback' then
    for l = 1, limits do reply[#reply + 1] = back[l] or 0 end
  end
end
return reply
