"""The run-time: devices, memory, programs and the execution of plans.

`execute.Executable(plan, device)` binds a Plan once; calling it takes and gives `memory.Storage`.
Nothing here is imported by `import fx`, and pyopencl only when a device is asked for.
"""
