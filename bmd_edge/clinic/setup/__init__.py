"""What a box is set up with: folders, certificates, the files of Orthanc, nginx and systemd; and its doctor.

In: `clinic.toml`. Out: files that follow from it, and what is wrong with a box as it stands.
Takes no film and sends none.
"""
