"""Film tables that say more than DEXA - status, landmarks, style - come in; one report on all of them goes out.

Synthetic, foreign and real films stand beside each other and are never averaged. Nothing is fitted or changed here.
"""
